// What every page does: tables that sort, and curves that tell their values (the script of figures, in front of this one).

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

  document.addEventListener('DOMContentLoaded', () => {
    document.querySelectorAll('table').forEach(sortable);
    document.querySelectorAll('svg.figure [data-x]').forEach(tellValues);
    // Options of a choice hold plain text: it is changed with the page's language.
    const speak = () => document.querySelectorAll('option[data-en]').forEach(option => {
      option.textContent = option.dataset[document.documentElement.lang] ?? option.dataset.en;
    });
    new MutationObserver(speak).observe(document.documentElement, { attributeFilter: ['lang'] });
    speak();
  });
}
