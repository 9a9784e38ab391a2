// Curves of figures that tell their values to who points at them, or goes along them by arrow keys.

/** An element of SVG. */
const svg = (name, attributes = {}, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** The values of a plot's curves at a place along its horizontal axis, beside a line there. */
const tellValues = plot => {
  const picture = plot.closest('svg.figure');
  const axis = name => {
    const [from, to, low, high, log] = plot.dataset[name].split(' ').map(Number);
    return { from, to, value: p => {
      const share = (p - from) / (to - from);
      return log ? low * (high / low) ** share : low + share * (high - low);
    } };
  };
  const x = axis('x'), y = axis('y');
  // What a curve was smoothed from lies pale behind it, and has no name.
  const isTold = path => path.dataset.name || !path.classList.contains('pale');
  const curves = [...plot.querySelectorAll('path.line[data-name]')].filter(isTold).map(path => ({
    name: path.dataset.name, look: path.getAttribute('class').match(/\bc\d|grey/)?.[0] ?? '',
    points: [...path.getAttribute('d').matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map(m => [Number(m[1]), Number(m[2])]),
  })).filter(curve => curve.points.length > 1);
  if (!curves.length) return;
  const told = svg('g', { class: 'told' });
  let at = null;
  const short = v => String(Number(v.toPrecision(4))).replaceAll('-', '−');
  const show = place => {
    told.replaceChildren();
    if (place === null) return;
    at = Math.min(x.to, Math.max(x.from, place));
    const found = curves.map(curve => ({ ...curve, point: curve.points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a) }))
      .filter(curve => Math.abs(curve.point[0] - at) < 12);
    told.append(svg('path', { class: 'axis', d: `M${at} ${Math.min(y.from, y.to)}V${Math.max(y.from, y.to)}` }));
    for (const { point, look } of found) told.append(svg('circle', { class: 'dot ' + look, cx: point[0], cy: point[1], r: 3.6 }));
    const lines = [short(x.value(found[0]?.point[0] ?? at)), ...found.map(c => `${c.name} ${short(y.value(c.point[1]))}`.trim())];
    const texts = lines.map((line, i) => {
      const text = svg('text', { y: Math.min(y.from, y.to) + 14 + 15 * i, class: i ? 'small' : 'small strong' });
      text.textContent = line;
      told.append(text);
      return text;
    });
    const wide = Math.max(...texts.map(text => text.getComputedTextLength()));
    const left = at + wide + 14 > x.to ? at - wide - 8 : at + 8;
    const back = svg('rect', { class: 'paper', x: left - 4, y: Math.min(y.from, y.to) + 1, width: wide + 8, height: 15 * lines.length + 4, opacity: 0.86 });
    told.insertBefore(back, texts[0]);
    texts.forEach(text => text.setAttribute('x', left));
  };
  picture.append(told);
  picture.tabIndex = 0;
  const place = event => {
    const box = picture.getBoundingClientRect();
    return (event.clientX - box.left) / box.width * picture.viewBox.baseVal.width;
  };
  picture.addEventListener('pointermove', event => show(place(event)));
  picture.addEventListener('pointerleave', () => show(null));
  picture.addEventListener('blur', () => show(null));
  picture.addEventListener('keydown', event => {
    const step = { ArrowLeft: -8, ArrowRight: 8 }[event.key];
    if (!step) return;
    show((at ?? (x.from + x.to) / 2) + step);
    event.preventDefault();
  });
};
