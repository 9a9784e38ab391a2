// What the things of a page compute for these values, and whether moving each control changes their pictures.

async function look(frame, name) {
  const window = frame.contentWindow, page = window.document;
  const things = [...page.querySelectorAll('[data-play]')];
  const all = [];
  for (const thing of things) {
    const stage = thing.querySelector('.stage');
    const drawn = () => stage.innerHTML;
    const still = [], unreachable = [];
    for (const input of thing.querySelectorAll('input, select')) {
      input.focus();
      if (page.activeElement !== input) unreachable.push(input.name);
      if (!input.labels?.[0]?.textContent.trim()) unreachable.push(input.name + ' has no label');
      const before = drawn(), was = input.value;
      if (input.tagName === 'SELECT') input.selectedIndex = 1;
      else input.value = Number(was) + (Number(input.max) > Number(was) ? 4 : -4) * Number(input.step);
      input.dispatchEvent(new window.Event('input', { bubbles: true }));
      if (drawn() === before) still.push(input.name);
      input.value = was;
      input.dispatchEvent(new window.Event('input', { bubbles: true }));
    }
    // A pointer that drags or points changes the picture too, where there is something to drag.
    let dragged = null;
    if (thing.dataset.play === 'perceptron') {
      const picture = stage.firstElementChild, box = picture.getBoundingClientRect(), before = drawn();
      const at = { clientX: box.left + box.width * 0.3, clientY: box.top + box.height * 0.7, bubbles: true, buttons: 1 };
      picture.dispatchEvent(new window.PointerEvent('pointerdown', at));
      dragged = drawn() !== before;
    }
    if (thing.dataset.play === 'im2col') {
      const before = drawn();
      stage.querySelectorAll('[data-cell="5,0"]')[0].dispatchEvent(new window.PointerEvent('pointerover', { bubbles: true }));
      dragged = drawn() !== before;
    }
    // At the ends of all controls nothing is drawn at a place that is no number, and a narrow page stays narrow.
    const inputs = [...thing.querySelectorAll('input, select')], kept = inputs.map(input => input.value), lost = [];
    frame.style.width = '360px';
    for (const end of ['min', 'max']) {
      for (const input of inputs) {
        if (input.type === 'range') input.value = input[end];
        input.dispatchEvent(new window.Event('input', { bubbles: true }));
      }
      const places = [...stage.querySelectorAll('svg *')].flatMap(e => [...e.attributes]).map(a => a.value);
      if (places.some(place => /NaN|Infinity|undefined/.test(place))) lost.push(end + ': a place is no number');
      if (page.documentElement.scrollWidth > page.documentElement.clientWidth) lost.push(end + ': the page is too wide');
    }
    frame.style.width = '1280px';
    inputs.forEach((input, at) => { input.value = kept[at]; input.dispatchEvent(new window.Event('input', { bubbles: true })); });
    const kind = window.eval('play').kinds[thing.dataset.play], data = JSON.parse(thing.dataset.values);
    const asked = (questions[thing.dataset.play] ?? []).map(values => kind.compute(values, data));
    const stories = [...stage.querySelectorAll(':scope > svg')].filter(svg => !svg.querySelector('title')?.textContent).length;
    all.push({ kind: thing.dataset.play, still, unreachable, dragged, asked, stories, lost });
  }
  // Curves tell their values, tables sort.
  const plot = page.querySelector('svg.figure [data-x]:has(path.line[data-name])');
  let told = null;
  if (plot) {
    const picture = plot.closest('svg.figure'), box = picture.getBoundingClientRect();
    picture.dispatchEvent(new window.PointerEvent('pointermove', { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }));
    told = picture.querySelector('.told')?.textContent ?? '';
    // The arrow keys go along it, too.
    const shown = picture.querySelector('.told')?.innerHTML;
    picture.focus();
    picture.dispatchEvent(new window.KeyboardEvent('keydown', { key: 'ArrowRight' }));
    if (page.activeElement !== picture || picture.querySelector('.told').innerHTML === shown) told = '';
  }
  const table = page.querySelector('table th[class] button, table th button')?.closest('table');
  let sorted = null;
  if (table) {
    const column = table.tHead.rows[0].cells.length - 1;
    const button = table.tHead.rows[0].cells[column].querySelector('button');
    const rows = () => [...table.tBodies[0].rows].map(row => row.innerHTML).sort().join();
    const before = rows();
    button.click();
    if (button.closest('th').getAttribute('aria-sort') !== 'ascending' || rows() !== before) throw Error('sorting changes a table');
    sorted = [...table.tBodies[0].rows].map(row => row.cells[column].textContent);
  }
  return { things: all, told, sorted, problems: window.problems };
}
