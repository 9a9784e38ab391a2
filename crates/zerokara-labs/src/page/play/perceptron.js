// A perceptron: where w₁x₁ + w₂x₂ + b is positive it answers 1. The line can be dragged.
play.kinds.perceptron = {
  compute({ w1, w2, b }, data) {
    const answers = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([x1, x2]) => Number(b + w1 * x1 + w2 * x2 > 0));
    return { answers, gate: data.gates?.[answers.join('')] };
  },
  draw(stage, { answers, gate }, { w1, w2, b }, data, set) {
    const range = [-0.5, 1.5];
    const plane = play.plane(stage, { width: 290, height: 300, room: 120, x: range, y: range, names: ['x₁', 'x₂'] });
    // The part of the square where the answer is 1: its border, cut by the line.
    const corners = [[-0.5, -0.5], [1.5, -0.5], [1.5, 1.5], [-0.5, 1.5]], sum = ([x1, x2]) => b + w1 * x1 + w2 * x2;
    const inside = [], edge = [];
    corners.forEach((p, i) => {
      const q = corners[(i + 1) % 4], [u, v] = [sum(p), sum(q)];
      if (u > 0) inside.push(p);
      if ((u > 0) !== (v > 0)) {
        const share = u / (u - v), cut = [p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])];
        inside.push(cut);
        edge.push(cut);
      }
    });
    const points = inside.map(([a, c]) => plane.sx(a) + ',' + plane.sy(c)).join(' ');
    plane.inside.append(svg('polygon', { class: 'mark c1', points, 'stroke-width': 0 }));
    if (edge.length === 2) plane.line(edge, 'grey');
    [[0, 0], [1, 0], [0, 1], [1, 1]].forEach((p, i) => plane.dot(p, answers[i] ? 'c1' : 'c0', 6));
    // The truth table, and which gate has it.
    const table = [['x₁', 'x₂', 'y'], [0, 0, answers[0]], [1, 0, answers[1]], [0, 1, answers[2]], [1, 1, answers[3]]];
    table.forEach((row, i) => row.forEach((cell, j) => {
      const look = { 'text-anchor': 'middle', class: j === 2 && i ? 'strong' : '' };
      plane.picture.append(play.text(318 + 30 * j, 60 + 22 * i, String(cell), look));
    }));
    plane.picture.append(svg('path', { class: 'axis', d: 'M304 68H394M363 46V156' }));
    if (gate) plane.picture.append(play.text(349, 186, gate, { class: 'strong', 'text-anchor': 'middle' }));
    play.draggable(stage, plane.picture, (px, py) => {
      // The line goes through this point, in the same direction.
      const x1 = range[0] + (px - plane.sx(range[0])) / (plane.sx(1) - plane.sx(0));
      const x2 = range[0] + (py - plane.sy(range[0])) / (plane.sy(1) - plane.sy(0));
      set({ b: Math.max(-2, Math.min(2, -(w1 * x1 + w2 * x2))) });
    });
  },
};
