// What every page does: tables that sort, and curves that tell their values.

/** An element of SVG. */
const svg = (name, attributes = {}, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

{
  /** A cell as a number, if it begins with one. */
  const number = text => {
    const found = text.trim().replaceAll('−', '-').replaceAll(',', '').match(/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
    return found ? Number(found[0]) : NaN;
  };

  const sortable = table => {
    const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells];
    if (rows.length < 3) return;
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const key = row => row.cells[column].textContent;
        const numeric = rows.every(row => !key(row).trim() || !Number.isNaN(number(key(row))));
        const order = numeric ? (a, b) => number(key(a)) - number(key(b)) : (a, b) => key(a).localeCompare(key(b));
        table.tBodies[0].append(...rows.sort((a, b) => down ? order(b, a) : order(a, b)));
      });
    });
  };

  /** The values of a plot's curves at a place along its horizontal axis, beside a line there. */
  const telling = plot => {
    const picture = plot.closest('svg.figure');
    const axis = name => {
      const [from, to, low, high, log] = plot.dataset[name].split(' ').map(Number);
      return { from, to, value: p => {
        const share = (p - from) / (to - from);
        return log ? low * (high / low) ** share : low + share * (high - low);
      } };
    };
    const x = axis('x'), y = axis('y');
    const curves = [...plot.querySelectorAll('path.line[data-name]')].map(path => ({
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

  document.addEventListener('DOMContentLoaded', () => {
    document.querySelectorAll('table').forEach(sortable);
    document.querySelectorAll('svg.figure [data-x]').forEach(telling);
    // Options of a choice hold plain text: it is changed with the page's language.
    const speak = () => document.querySelectorAll('option[data-en]').forEach(option => {
      option.textContent = option.dataset[document.documentElement.lang] ?? option.dataset.en;
    });
    new MutationObserver(speak).observe(document.documentElement, { attributeFilter: ['lang'] });
    speak();
  });
}
