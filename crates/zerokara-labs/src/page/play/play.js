// Things to play with. The page has for each its controls, in both languages; here they are brought to life. A kind of thing is
// { compute(values, data) -> numbers, draw(stage, numbers, values, data, set) }: what is computed is a plain function of the
// controls' values, so that a test can compare it with the library's numbers.
const play = { kinds: {} };

{
  /** A text at a place; `words` is a text or one for each language. */
  play.text = (x, y, words, attributes = {}) => {
    const text = svg('text', { x, y, ...attributes });
    if (typeof words === 'string') text.textContent = words;
    else for (const language of ['en', 'ja']) text.append(svg('tspan', { class: language }, words[language]));
    return text;
  };

  /** A number with so many digits, with a true minus. */
  play.number = (value, digits = 4) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
    const size = Math.abs(value);
    const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(Math.max(digits - 2, 0)) : String(Number(value.toPrecision(digits)));
    return text.replaceAll('-', '−');
  };

  /** A plane with axes, and room on its right: gives the picture, what to draw into, and what turns values into places. */
  play.plane = (stage, { width = 440, height = 320, x, y, names = [], room = 0 }) => {
    const left = 44, right = width - 14, top = 30, bottom = height - 40;
    const sx = v => left + (v - x[0]) / (x[1] - x[0]) * (right - left);
    const sy = v => bottom - (v - y[0]) / (y[1] - y[0]) * (bottom - top);
    const picture = svg('svg', { class: 'figure', viewBox: `0 0 ${width + room} ${height}`, width: width + room, height, role: 'img' });
    for (const [range, place, vertical] of [[x, sx, true], [y, sy, false]]) {
      for (const at of ticks(range, vertical ? 6 : 5)) {
        const p = place(at);
        picture.append(svg('path', { class: 'grid', d: vertical ? `M${p} ${top}V${bottom}` : `M${left} ${p}H${right}` }));
        picture.append(vertical ? play.text(p, bottom + 17, play.number(at), { 'text-anchor': 'middle' })
          : play.text(left - 7, p + 4, play.number(at), { 'text-anchor': 'end' }));
      }
    }
    picture.append(svg('path', { class: 'axis', d: `M${left} ${top}V${bottom}H${right}` }));
    if (names[1]) picture.append(play.text(0, top - 12, names[1], { class: 'name' }));
    if (names[0]) picture.append(play.text(right, bottom + 35, names[0], { class: 'name', 'text-anchor': 'end' }));
    const inside = svg('svg', { x: left, y: top, width: right - left, height: bottom - top, viewBox: `${left} ${top} ${right - left} ${bottom - top}` });
    picture.append(inside);
    stage.append(picture);
    const line = (points, look) => inside.append(svg('path', { class: 'line ' + look, d: path(points.map(([a, b]) => [sx(a), sy(b)])) }));
    const dot = ([a, b], look, r = 4) => inside.append(svg('circle', { class: 'dot ' + look, cx: sx(a), cy: sy(b), r }));
    return { picture, inside, sx, sy, line, dot, x, y };
  };

  const ticks = ([low, high], count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough * 0.999);
    const all = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) all.push(i * step);
    return all;
  };

  /** A path through points that are numbers; others are gaps. */
  const path = points => {
    let d = '', pen = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y) || Math.abs(x) > 1e5 || Math.abs(y) > 1e5) { pen = false; continue; }
      d += (pen ? 'L' : 'M') + x.toFixed(1) + ' ' + y.toFixed(1);
      pen = true;
    }
    return d;
  };

  /** Numbers in cells; `look(row, column)` gives the class of a cell's shade, or nothing. */
  play.cells = (group, x, y, numbers, size, look = () => '') => {
    numbers.forEach((row, i) => row.forEach((value, j) => {
      const [cx, cy] = [x + j * size, y + i * size], shade = look(i, j);
      const cell = svg('g', { 'data-cell': i + ',' + j });
      cell.append(svg('rect', { class: 'cell', x: cx, y: cy, width: size, height: size }));
      if (shade) cell.append(svg('rect', { class: 'mark ' + shade, x: cx, y: cy, width: size, height: size }));
      if (value !== null) cell.append(play.text(cx + size / 2, cy + size / 2 + 4, play.number(value, 3), { class: 'number', 'text-anchor': 'middle' }));
      group.append(cell);
    }));
  };

  /** A picture without axes. */
  play.picture = (stage, width, height) => {
    const picture = svg('svg', { class: 'figure', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' });
    stage.append(picture);
    return picture;
  };

  /**
   * Lets a picture be dragged: calls `to(x, y)` with places in its own measure. The stage listens, which stays when the picture
   * is drawn anew.
   */
  play.draggable = (stage, picture, to) => {
    const place = event => {
      const box = picture.getBoundingClientRect(), view = picture.viewBox.baseVal;
      to((event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height);
    };
    picture.style.cursor = 'grab';
    picture.style.touchAction = 'none';
    stage.onpointerdown = event => { if (event.isTrusted) stage.setPointerCapture(event.pointerId); place(event); };
    stage.onpointermove = event => { if (event.buttons) place(event); };
  };

  /** The value of a control: sliders of `10^x` hold the exponent. */
  const value = input => {
    if (input.tagName === 'SELECT') return input.value;
    return input.dataset.power ? 10 ** input.value : Number(input.value);
  };

  const start = thing => {
    const kind = play.kinds[thing.dataset.play], data = JSON.parse(thing.dataset.values || '{}');
    const inputs = [...thing.querySelectorAll('input, select')], stage = thing.querySelector('.stage');
    const show = () => {
      const values = Object.fromEntries(inputs.map(input => [input.name, value(input)]));
      for (const input of inputs) {
        const told = input.parentElement.querySelector('output');
        if (told) told.textContent = play.number(values[input.name]);
      }
      if (!kind.keeps || !stage.childElementCount) stage.replaceChildren();
      kind.draw(stage, kind.compute(values, data), values, data, set);
      for (const picture of stage.querySelectorAll(':scope > svg'))
        picture.prepend(svg('title', {}, data.about[document.documentElement.lang] ?? data.about.en));
    };
    const set = changed => {
      for (const input of inputs) if (input.name in changed) input.value = input.dataset.power ? Math.log10(changed[input.name]) : changed[input.name];
      show();
    };
    for (const input of inputs) input.addEventListener('input', show);
    // Descriptions are plain text: they are said anew when the page changes its language.
    new MutationObserver(show).observe(document.documentElement, { attributeFilter: ['lang'] });
    show();
  };

  document.addEventListener('DOMContentLoaded', () => {
    document.documentElement.classList.add('scripted');
    for (const thing of document.querySelectorAll('[data-play]')) start(thing);
  });
}
