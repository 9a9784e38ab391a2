// Tries a model: a drawn or chosen picture, or a form with what it takes; bars of probabilities, or numbers.

const get = id => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get('token');
const headers = token ? { Authorization: `Bearer ${token}` } : {};

/** An element with these properties and contents. */
const element = (name, properties = {}, ...contents) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...contents);
  return made;
};

let model = null;

// ---- answers ----

/** The most classes that are listed. */
const LISTED = 10;
const percent = share => `${(share * 100).toFixed(1)} %`;
const short = number => String(Number(number.toPrecision(6)));

const bars = (shares, name) => {
  const order = shares.map((share, at) => [share, at]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  const items = order.slice(0, LISTED).map(([share, at]) => {
    const bar = element('b');
    bar.style.width = `${share * 100}%`;
    return element('li', {}, element('span', { textContent: name(at) }),
      element('span', { textContent: percent(share) }), element('i', { ariaHidden: 'true' }, bar));
  });
  return element('ol', { className: 'bars' }, ...items);
};

const values = (numbers, name = '') => element('p', { className: 'values' },
  ...(name ? [element('small', { textContent: name })] : []), numbers.map(short).join(', '));

const show = answer => {
  const name = at => model.classes[at] ?? String(at);
  get('answer').replaceChildren(...(
    answer.probabilities ? [bars(answer.probabilities, name)]
      : answer.outputs ? Object.entries(answer.outputs).map(([name, numbers]) => values(numbers, name))
        : [values(answer.values ?? [])]));
  get('fault').hidden = true;
};

const fail = sentence => {
  get('answer').replaceChildren();
  get('fault').textContent = sentence;
  get('fault').hidden = false;
};

/** The question that is under way: a newer one takes its place. */
let asking = null;

const ask = async (body, kind) => {
  asking?.abort();
  const own = asking = new AbortController();
  try {
    const answer = await fetch(`/models/${model.name}/predict`,
      { method: 'POST', headers: { ...headers, 'Content-Type': kind }, body, signal: own.signal });
    const read = await answer.json();
    if (own !== asking) return;
    answer.ok ? show(read) : fail(read.error);
  } catch (error) {
    if (error.name !== 'AbortError') fail('{{The server does not answer.}}');
  }
};

// ---- pictures ----

const canvas = get('canvas'), pen = canvas.getContext('2d');
/** Where the pen is, whether it is down, and whether something was drawn. */
const at = { x: 140, y: 140, down: false, drawn: false };
let soon = 0;

const clear = () => {
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(at, { x: 140, y: 140, drawn: false, down: false });
  clearTimeout(soon);
  asking?.abort();
  get('answer').replaceChildren();
  get('fault').hidden = true;
  get('shown').hidden = true;
  canvas.hidden = !canDraw();
};

const canDraw = () => model?.picture?.kind === 'digits';

const draw = (x, y) => {
  Object.assign(pen, { strokeStyle: '#000', lineWidth: 20, lineCap: 'round', lineJoin: 'round' });
  pen.beginPath();
  pen.moveTo(at.x, at.y);
  pen.lineTo(x, y);
  pen.stroke();
  at.drawn = true;
  clearTimeout(soon);
  soon = setTimeout(() => canvas.toBlob(picture => at.drawn && ask(picture, 'image/png'), 'image/png'), 120);
};

const place = event => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
};

canvas.addEventListener('pointerdown', event => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  [at.x, at.y] = place(event);
  at.down = true;
  draw(at.x, at.y);
});
canvas.addEventListener('pointermove', event => {
  if (!at.down || !canvas.hasPointerCapture(event.pointerId)) return;
  for (const one of event.getCoalescedEvents?.() ?? [event]) {
    const [x, y] = place(one);
    draw(x, y);
    [at.x, at.y] = [x, y];
  }
});
for (const over of ['pointerup', 'pointercancel']) canvas.addEventListener(over, () => { at.down = false; });

/** How far an arrow key moves the pen. */
const STEP = 10;
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
canvas.addEventListener('keydown', event => {
  const move = MOVES[event.key];
  if (move) {
    const within = (value, most) => Math.min(most - STEP, Math.max(STEP, value));
    const x = within(at.x + move[0], canvas.width), y = within(at.y + move[1], canvas.height);
    if (at.down) draw(x, y);
    [at.x, at.y] = [x, y];
  } else if (event.key === ' ') {
    at.down = !at.down;
    if (at.down) draw(at.x, at.y);
  } else if (event.key === 'Delete' || event.key === 'Backspace') {
    clear();
  } else return;
  event.preventDefault();
  const pen = at.down ? '{{pen down}}' : '{{pen up}}';
  get('hint').textContent = `${Math.round(at.x / STEP)}, ${Math.round(at.y / STEP)}: ${pen}`;
});
get('clear').addEventListener('click', clear);

const choose = file => {
  if (!file || !model?.picture) return;
  clear();
  const shown = get('shown');
  URL.revokeObjectURL(shown.src);
  shown.src = URL.createObjectURL(file);
  shown.hidden = false;
  canvas.hidden = true;
  ask(file, file.type);
};
get('file').addEventListener('change', event => {
  choose(event.target.files[0]);
  // The same file may be chosen again.
  event.target.value = '';
});
document.addEventListener('paste', event => choose([...event.clipboardData.files][0]));
for (const over of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(over, event => {
    event.preventDefault();
    get('drop').classList.toggle('over', over === 'dragover');
    if (over === 'drop') choose(event.dataTransfer.files[0]);
  });
}

// ---- forms ----

/** The most numbers that have a field each. */
const FIELDS = 64;
let reads = [];

/** A labelled control. */
const field = (name, control, whole = false) => {
  get('fields').lastElementChild.append(
    element('label', { className: whole ? 'whole' : '' }, name, control));
  return control;
};

/** One of some texts; any other too, where there is a place for others. */
const choice = (name, options, others) => {
  const list = options.map(text => element('option', { value: text, textContent: text }));
  if (!others) return field(name, element('select', {}, ...list));
  const id = `list-${document.querySelectorAll('datalist').length}`;
  const control = field(name, element('input', { type: 'text' }));
  control.setAttribute('list', id);
  control.after(element('datalist', { id }, ...list));
  return control;
};

const column = ({ name, kind, values = [], unseen }) => {
  const control = kind === 'categories' ? choice(name, values, unseen === 'place')
    : field(name, element('input', { type: 'text', inputMode: kind === 'number' ? 'decimal' : 'text',
      placeholder: kind === 'date' ? '2024-03-31' : '' }));
  return [name, () => control.value.trim() || null];
};

/** Makes the fields of an input, and gives what reads them. */
const input = ({ name, kind, shape = [], columns = [], values = [], others }) => {
  get('fields').append(element('fieldset', {}, element('legend', { textContent: name })));
  if (kind === 'row') {
    const cells = columns.map(column);
    return () => Object.fromEntries(cells.map(([name, read]) => [name, read()]));
  }
  if (kind === 'choice') {
    const control = choice(name, values, others);
    return () => control.value;
  }
  if (kind === 'text') {
    const control = field(name, element('textarea', { rows: 3 }), true);
    return () => control.value;
  }
  const count = shape.reduce((all, length) => all * length, 1);
  if (shape.length < 2 && count > 0 && count <= FIELDS) {
    const controls = Array.from({ length: count }, (_, number) => field(String(number + 1),
      element('input', { type: 'number', step: 'any', value: '0', required: true })));
    const numbers = () => controls.map(control => Number(control.value));
    return () => shape.length ? numbers() : numbers()[0];
  }
  const label = `[${shape.map(length => length || '…').join(', ')}]`;
  const control = field(label, element('textarea', { rows: 6, value: '[]' }), true);
  return () => JSON.parse(control.value);
};

get('form').addEventListener('submit', event => {
  event.preventDefault();
  let inputs;
  try {
    inputs = reads.map(([name, read]) => [name, read()]);
  } catch {
    return fail('{{The numbers are no list of JSON, such as [1, 2.5].}}');
  }
  ask(JSON.stringify({ inputs: inputs.length === 1 ? inputs[0][1] : Object.fromEntries(inputs) }), 'application/json');
});

// ---- models ----

const use = chosen => {
  model = chosen;
  document.title = `${model.name} – Zerokara`;
  get('name').textContent = model.name;
  get('about').textContent = [model.model, model.dataset].filter(text => text && text !== model.name).join(' · ');
  get('picture').hidden = !model.picture;
  get('form').hidden = Boolean(model.picture);
  get('clear').hidden = !canDraw();
  get('hint').textContent = canDraw() ? '{{Draw a digit here, or drop or paste a picture.}}' : '{{Drop or paste a picture here.}}';
  clear();
  get('fields').replaceChildren();
  reads = model.picture ? [] : model.inputs.map(one => [one.name, input(one)]);
};

try {
  const answer = await fetch('/models', { headers });
  const read = await answer.json();
  if (!answer.ok) throw new Error(read.error);
  const select = get('models');
  select.append(...read.models.map(({ name }) => element('option', { value: name, textContent: name })));
  select.addEventListener('change', () => use(read.models[select.selectedIndex]));
  get('choice').hidden = read.models.length < 2;
  // With a token the description is not for a plain link.
  get('description').hidden = Boolean(token);
  use(read.models[0]);
} catch (error) {
  fail(error.message);
}
