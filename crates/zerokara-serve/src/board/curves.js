
// ---- curves of the chosen runs, and their recipes ----

{
  const wanted = { across: 'epoch', log: false, smooth: 0 };
  /** Measures that are drawn; those that suit most until some are chosen. */
  let drawn = null;

  const names = () => {
    const all = new Set();
    for (const name of chosen.keys()) {
      const run = runs.get(name);
      for (const measure of [...run.byEpoch, ...run.byStep]) all.add(measure);
    }
    const order = name => (/accuracy|loss/.test(name) ? 0 : 1) + (/^(test|validation|train)/.test(name) ? 0 : 0.5);
    return [...all].sort((a, b) => order(a) - order(b) || a.localeCompare(b));
  };
  const usual = all => ['test_loss', 'test_accuracy', 'validation_loss', 'validation_accuracy', 'train_loss', 'loss']
    .filter(name => all.includes(name)).concat(all).slice(0, 2);

  const width = () => Math.round(get('charts').clientWidth >= 960 ? (get('charts').clientWidth - 40) / 2 : get('charts').clientWidth);

  const chart = async (figure, metric) => {
    const query = new URLSearchParams({ metric, x: wanted.across, log: wanted.log ? '1' : '0', smooth: wanted.smooth,
      width: Math.max(width(), 300), height: width() < 480 ? 250 : 320 });
    for (const [name, look] of chosen) query.append('run', `${look}:${name}`);
    figure.asking?.abort();
    const own = figure.asking = new AbortController();
    try {
      const text = await (await ask(`/chart?${query}`, { signal: own.signal })).text();
      if (own !== figure.asking) return;
      const made = picture(text);
      figure.querySelector('svg')?.remove();
      figure.append(made);
      enliven(figure);
    } catch (error) {
      if (error.name !== 'AbortError' && error.status) fail(error.message);
    }
  };

  const draw = () => {
    get('curves').hidden = !chosen.size;
    if (!chosen.size) return;
    get('legend').replaceChildren(...[...chosen].map(([name, look]) => element('li', {}, swatch(look), name)));
    const all = names(), shown = (drawn ?? usual(all)).filter(name => all.includes(name));
    const chips = get('metrics');
    if (chips.dataset.list !== all.join()) {
      chips.dataset.list = all.join();
      chips.replaceChildren(chips.firstElementChild, ...all.map(name => {
        const box = element('input', { type: 'checkbox', value: name, checked: shown.includes(name) });
        box.onchange = () => {
          drawn = [...chips.querySelectorAll('input:checked')].map(input => input.value);
          draw();
        };
        return element('label', {}, box, said(name));
      }));
    }
    const charts = get('charts'), known = new Map([...charts.children].map(figure => [figure.dataset.metric, figure]));
    charts.replaceChildren(...shown.map(name => {
      const figure = known.get(name) ?? element('figure', {}, element('h3', { textContent: said(name) }));
      figure.dataset.metric = name;
      return figure;
    }));
    for (const figure of charts.children) chart(figure, figure.dataset.metric);
  };
  const drawSoon = calmly(draw, 80);

  // ---- recipes, line by line ----

  const recipe = async name => (await (await ask(`/runs/${encodeURIComponent(name)}/recipe`)).text()).split('\n');

  /** The lines of both with what is only in one of them: the longest common sequence. */
  const difference = (a, b) => {
    const most = 2000;
    [a, b] = [a.slice(0, most), b.slice(0, most)];
    const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--)
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    const out = [];
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      if (i < a.length && j < b.length && a[i] === b[j]) { out.push([' ', a[i]]); i++; j++; }
      else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) out.push(['−', a[i++]]);
      else out.push(['+', b[j++]]);
    }
    return out;
  };

  const compare = async () => {
    get('compare').hidden = chosen.size < 2;
    if (chosen.size < 2) return;
    const all = [...chosen.keys()];
    for (const [at, id] of ['one', 'other'].entries()) {
      const select = get(id), was = all.includes(select.value) ? select.value : all[at];
      select.replaceChildren(...all.map(name => element('option', { value: name, textContent: name, selected: name === was })));
    }
    try {
      const [a, b] = await Promise.all([recipe(get('one').value), recipe(get('other').value)]);
      // Each recipe says of itself where it lies.
      const lines = difference(...[a, b].map(lines => lines.filter(line => !line.startsWith('#'))));
      const isNear = at => lines.slice(Math.max(at - 2, 0), at + 3).some(([sign]) => sign !== ' ');
      const shown = [];
      lines.forEach(([sign, text], at) => {
        if (get('whole').checked || isNear(at)) shown.push([{ '−': 'less', '+': 'plus' }[sign] ?? '', `${sign} ${text}`]);
        else if (shown.at(-1)?.[0] !== 'gap') shown.push(['gap', '⋯']);
      });
      const isSame = lines.every(([sign]) => sign === ' ');
      get('diff').replaceChildren(...(isSame && !get('whole').checked ? ['{{The recipes are the same.}}']
        : shown.map(([className, textContent]) => element('span', { className, textContent }))));
    } catch (error) {
      if (error.status) fail(error.message);
    }
  };

  for (const id of ['one', 'other', 'whole']) get(id).addEventListener('input', compare);
  get('across').addEventListener('input', event => { wanted.across = event.target.value; draw(); });
  get('log').addEventListener('input', event => { wanted.log = event.target.checked; draw(); });
  get('smooth').addEventListener('input', event => {
    wanted.smooth = Number(event.target.value);
    get('smooth-value').textContent = event.target.value;
    drawSoon();
  });
  let before = '';
  watchers.push(names => {
    const now = [...chosen.keys()].join('\n');
    if (now !== before || [...names].some(name => chosen.has(name))) drawSoon();
    if (now !== before) compare();
    before = now;
  });
  let wide = 0;
  new ResizeObserver(() => {
    if (Math.abs(width() - wide) > 20 && chosen.size) drawSoon();
    wide = width();
  }).observe(get('charts'));
}
