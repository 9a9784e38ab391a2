
// ---- the table of runs ----

{
  /** Rows that are shown at first, and with each further look: a thousand at once would be slow to change. */
  const PART = 150;
  const state = { sort: 'name', down: true, shown: PART, filter: '', group: '', measure: '' };

  const loss = run => number(run.values.test_loss ?? run.values.validation_loss ?? run.values.train_loss ?? run.values.loss);
  const COLUMNS = [
    { key: 'name', title: '{{run}}', value: run => run.name, cell: run => element('button', { type: 'button', textContent: run.name, onclick: () => details.open(run.name) }) },
    { key: 'status', title: '{{status}}', value: run => run.status, cell: run => element('span', { className: run.status, textContent: STATES[run.status] ?? run.status }) },
    { key: 'model', title: '{{model}}', value: run => run.model ?? '' },
    { key: 'data', title: '{{data}}', value: run => run.data ?? '' },
    { key: 'tags', title: '{{tags}}', value: run => run.tags.join(' '), cell: run => element('span', {}, ...run.tags.map(tag => element('span', { className: 'mark', textContent: tag }))) },
    { key: 'epochs', title: '{{epochs}}', isNumber: true, value: run => run.epochs, text: run => run.epochs === null ? '–' : run.of ? `${run.epochs}/${run.of}` : String(run.epochs) },
    { key: 'measure', isNumber: true, value: run => number(run.values[state.measure]), text: run => measured(state.measure, number(run.values[state.measure])) },
    { key: 'loss', title: '{{loss}}', isNumber: true, value: loss, text: run => short(loss(run)) },
    { key: 'speed', title: '{{images/s}}', isNumber: true, value: run => number(run.values.images_per_second), text: run => short(number(run.values.images_per_second), 3) },
    { key: 'seconds', title: '{{time}}', isNumber: true, value: run => number(run.seconds), text: run => duration(number(run.seconds) ?? NaN) },
    { key: 'changed', title: '{{changed}}', isNumber: true, value: run => run.changed, text: run => run.changed ? DATES.format(new Date(run.changed * 1000)) : '–' },
  ];
  const STATES = { running: '{{running}}', complete: '{{complete}}', stopped: '{{stopped}}', interrupted: '{{interrupted}}', failed: '{{failed}}', unknown: '–' };

  // ---- which runs, in which order ----

  const words = run => [run.name, run.model, run.data, run.status, ...run.tags,
    ...Object.entries(run.settings).map(([name, value]) => `${name}=${value}`)].join('\n').toLowerCase();
  const asked = () => {
    const parts = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = run => parts.every(part => part.startsWith('tag:') ? run.tags.some(tag => tag.toLowerCase() === part.slice(4)) : words(run).includes(part));
    const found = [...runs.values()].filter(fits);
    const { value, isNumber } = COLUMNS.find(column => column.key === state.sort);
    const order = isNumber ? (a, b) => a - b : ORDER;
    const keys = new Map(found.map(run => [run, value(run)]));
    const isNothing = key => key === null || key === undefined || Number.isNaN(key);
    // What is not known is last in either direction.
    return found.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (isNothing(x) || isNothing(y)) return isNothing(x) - isNothing(y) || ORDER(a.name, b.name);
      return (state.down ? order(y, x) : order(x, y)) || ORDER(a.name, b.name);
    });
  };

  const groups = all => {
    if (!state.group) return [[null, all]];
    const found = new Map();
    const add = (name, run) => found.has(name) ? found.get(name).push(run) : found.set(name, [run]);
    for (const run of all) {
      if (state.group !== 'tag') add((state.group === 'status' ? STATES[run.status] : run[state.group]) || '–', run);
      else if (!run.tags.length) add('–', run);
      else for (const tag of run.tags) add(tag, run);
    }
    return [...found].sort((a, b) => a[0].localeCompare(b[0]));
  };

  // ---- rows ----

  /** A free look, the smallest. */
  const freeLook = () => {
    const taken = new Set(chosen.values());
    for (let look = 0; ; look++) if (!taken.has(look)) return look;
  };
  const choose = (name, is) => {
    is ? chosen.set(name, freeLook()) : chosen.delete(name);
    changed(new Set([name]));
  };

  /** Rows and groups stay the same elements as long as they are shown: who is about to click on one finds it there. */
  const rows = new Map(), bodies = new Map();

  const row = (group, run) => {
    const key = `${group}\n${run.name}`, look = chosen.get(run.name);
    let made = rows.get(key);
    if (!made) {
      const box = element('input', { type: 'checkbox', ariaLabel: run.name, onchange: event => choose(run.name, event.target.checked) });
      const cells = COLUMNS.map(({ key, isNumber }) => element(key === 'name' ? 'th' : 'td', { className: isNumber ? `number ${key}` : key }));
      made = { box, cells, pick: element('label', {}, box) };
      made.row = element('tr', {}, element('td', { className: 'pick' }, made.pick), ...cells);
      made.row.dataset.run = run.name;
      cells[0].scope = 'row';
      cells[0].append(COLUMNS[0].cell(run));
      rows.set(key, made);
    }
    if (made.run === run && made.look === look && made.measure === state.measure) return made.row;
    made.box.checked = look !== undefined;
    if (made.look !== look) made.pick.replaceChildren(made.box, ...(look === undefined ? [] : [swatch(look)]));
    Object.assign(made, { run, look, measure: state.measure });
    COLUMNS.forEach(({ value, text, cell }, at) => {
      if (at) made.cells[at].replaceChildren(cell ? cell(run) : text ? text(run) : value(run));
    });
    return made.row;
  };

  /** Puts children in this order, and moves no more of them than it must. */
  const arrange = (parent, children, from = 0) => {
    const wanted = new Set(children);
    for (const child of [...parent.children].slice(from)) if (!wanted.has(child)) child.remove();
    children.forEach((child, at) => {
      const there = parent.children[at + from];
      if (there !== child) parent.insertBefore(child, there ?? null);
    });
  };

  const heads = COLUMNS.map(({ key, title, isNumber }) => {
    const button = element('button', { type: 'button', textContent: title ?? '' });
    button.onclick = () => {
      // Numbers are mostly asked for from the largest on, names of runs from the newest.
      state.down = state.sort === key ? !state.down : Boolean(isNumber) || key === 'name';
      state.sort = key;
      draw();
    };
    return element('th', { scope: 'col', className: isNumber ? `number ${key}` : key }, button);
  });
  get('table').tHead.rows[0].append(element('td', { className: 'pick' }), ...heads);

  const head = () => COLUMNS.forEach(({ key, title }, at) => {
    if (!title) heads[at].firstElementChild.textContent = said(state.measure);
    if (state.sort === key) heads[at].ariaSort = state.down ? 'descending' : 'ascending';
    else heads[at].removeAttribute('aria-sort');
  });

  /** The measures that runs have, those of epochs; which of them is shown unless one is chosen. */
  const measures = () => {
    const names = new Set();
    for (const run of runs.values()) for (const name of run.byEpoch) names.add(name);
    const usual = ['test_accuracy', 'validation_accuracy', ...[...names].filter(name => /^test_(?!loss)/.test(name)), 'test_loss', 'loss'];
    if (!names.has(state.measure)) state.measure = usual.find(name => names.has(name)) ?? [...names][0] ?? 'test_accuracy';
    const list = [...names].sort(), select = get('measure');
    if (list.join() === select.dataset.list) return;
    select.dataset.list = list.join();
    select.replaceChildren(...list.map(name => element('option', { value: name, textContent: said(name), selected: name === state.measure })));
  };

  const draw = () => {
    measures();
    head();
    const all = asked(), table = get('table'), focused = document.activeElement?.closest('#table tbody tr');
    const held = focused && { run: focused.dataset.run, part: document.activeElement.tagName };
    const scrolled = table.parentElement.scrollTop;
    let left = state.shown;
    const shown = groups(all).map(([name, members]) => {
      const key = name ?? '', part = members.slice(0, Math.max(left, 0));
      if (!bodies.has(key)) bodies.set(key, element('tbody'));
      const body = bodies.get(key), made = part.map(run => row(key, run));
      left -= part.length;
      if (name !== null && part.length) {
        body.head ??= element('tr', { className: 'group' }, element('th', { colSpan: COLUMNS.length + 1, scope: 'rowgroup' }, name, element('span')));
        body.head.querySelector('span').textContent = String(members.length);
        made.unshift(body.head);
      }
      arrange(body, made);
      return body;
    });
    arrange(table, shown.filter(body => body.childElementCount), 1);
    table.parentElement.scrollTop = scrolled;
    if (held) table.querySelector(`tr[data-run="${CSS.escape(held.run)}"] ${held.part}`)?.focus({ preventScroll: true });
    table.hidden = !runs.size;
    get('none').hidden = runs.size > 0;
    const hidden = all.length - state.shown;
    get('more').hidden = hidden <= 0;
    get('more').textContent = `{{Show more}} (${hidden})`;
    get('count').textContent = all.length === runs.size ? `${runs.size} {{runs}}` : `${all.length} / ${runs.size} {{runs}}`;
    for (const id of ['tag', 'delete', 'clear']) get(id).disabled = !chosen.size;
    get('chosen').textContent = chosen.size ? `${chosen.size} {{chosen}}` : '{{Choose runs to see their curves.}}';
  };
  const drawSoon = calmly(draw, 60);
  watchers.push(names => {
    for (const name of names) if (!runs.has(name)) for (const key of rows.keys()) if (key.endsWith(`\n${name}`)) rows.delete(key);
    drawSoon();
  });

  const more = () => {
    state.shown += PART;
    draw();
  };
  get('more').onclick = more;
  // Who scrolls to the end of the table sees more of it.
  get('table').parentElement.addEventListener('scroll', event => {
    const { scrollTop, clientHeight, scrollHeight } = event.target;
    if (!get('more').hidden && scrollTop + clientHeight > scrollHeight - 300) more();
  }, { passive: true });
  for (const id of ['filter', 'group', 'measure']) {
    get(id).addEventListener('input', event => {
      state[id] = event.target.value;
      state.shown = PART;
      drawSoon();
    });
  }
  get('clear').onclick = () => {
    const names = new Set(chosen.keys());
    chosen.clear();
    changed(names);
  };

  // ---- changes ----

  const each = async (names, work) => {
    try {
      for (const name of names) await work(name);
      fail('');
    } catch (error) {
      fail(error.message);
    }
  };
  const path = name => `/runs/${encodeURIComponent(name)}`;

  get('delete').onclick = () => {
    get('doomed').replaceChildren(...[...chosen.keys()].map(name => element('li', { textContent: name })));
    get('deleting').returnValue = '';
    get('deleting').showModal();
  };
  get('deleting').addEventListener('close', () => {
    if (get('deleting').returnValue !== 'yes') return;
    each([...get('doomed').children].map(item => item.textContent), async name => {
      await ask(path(name), { method: 'DELETE' });
      take({ runs: [], gone: [name] });
    });
  });

  /** Tags that all chosen runs have: these are changed, others stay. */
  let common = [], tagged = [];
  get('tag').onclick = () => {
    tagged = [...chosen.keys()];
    const lists = tagged.map(name => runs.get(name).tags);
    common = lists[0].filter(tag => lists.every(list => list.includes(tag)));
    get('tagged').textContent = tagged.length === 1 ? tagged[0] : `${tagged.length} {{runs}}`;
    get('tags').value = common.join(', ');
    get('tagging').returnValue = '';
    get('tagging').showModal();
    get('tags').focus();
  };
  get('tags').addEventListener('keydown', event => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    get('tagging').close('yes');
  });
  get('tagging').addEventListener('close', () => {
    if (get('tagging').returnValue !== 'yes') return;
    const given = get('tags').value.split(/[,、]/).map(tag => tag.trim()).filter(Boolean);
    each(tagged.filter(name => runs.has(name)), async name => {
      const kept = runs.get(name).tags.filter(tag => !common.includes(tag));
      const body = JSON.stringify({ tags: [...new Set([...kept, ...given])] });
      const answer = await ask(`${path(name)}/tags`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body });
      const { tags } = await answer.json();
      take({ runs: [{ ...runs.get(name), tags }], gone: [] });
    });
  });
}
