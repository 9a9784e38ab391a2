// Pictures that were made beforehand, one for each position of a slider.
play.kinds.frames = {
  keeps: true,
  compute: ({ frame }) => frame - 1,
  draw(stage, frame, values, { names }) {
    const thing = stage.closest('[data-play]'), frames = thing.querySelectorAll('.frame');
    thing.querySelector('output').textContent = names[frame];
    frames.forEach((picture, number) => picture.hidden = number !== frame);
  },
};
