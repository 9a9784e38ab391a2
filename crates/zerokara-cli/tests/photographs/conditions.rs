//! The conditions in which pictures of digits are taken.

use super::scene::{Chance, Ink, Photo, png};

const SIDE: usize = 280;

/// The picture's file of a digit (28 × 28, from 0 to 1), the same for the same number.
pub type Make = fn(&[f32], usize) -> Vec<u8>;

fn ink(digit: &[f32]) -> Ink {
    Ink::drawn(digit, [SIDE; 2], 10.0, [0.5; 2], 0.0)
}

fn paper(digit: &[f32]) -> Photo {
    ink(digit).on(|_, _| 0.95, 0.1)
}

fn even(_: f32, _: f32) -> f32 {
    0.9
}

/// A corner in shadow, with an edge as sharp as this.
fn shadow(y: f32, x: f32, edge: f32) -> f32 {
    let into = ((x + y - 0.8) / edge).clamp(0.0, 1.0);
    0.6 + 0.4 * into
}

fn specks(photo: Photo, count: usize, chance: &mut Chance) -> Photo {
    (0..count).fold(photo, |photo, at| {
        // Near the border, around the digit.
        let along = chance.between(0.02, 0.96);
        let across = chance.between(0.01, 0.07);
        let place = [
            [across, along],
            [along, across],
            [0.97 - across, along],
            [along, 0.97 - across],
        ];
        let size = chance.between(0.007, 0.02);
        photo.rectangle(place[at % 4], [size; 2], 0.1)
    })
}

/// The conditions that every change must keep up with, for all hundred digits.
pub const USUAL: &[(&str, Make)] = &[
    ("clean, enlarged as squares", |d, _| {
        Ink::squares(d, 10).on(|_, _| 1.0, 0.0).png()
    }),
    ("a speck in a corner", |d, _| {
        Ink::squares(d, 10)
            .on(|_, _| 1.0, 0.0)
            .rectangle([0.02; 2], [4.0 / 280.0; 2], 0.0)
            .png()
    }),
    ("noise 10", |d, n| {
        paper(d).noisy(10.0, &mut Chance::new(n)).png()
    }),
    ("noise 20", |d, n| {
        paper(d).noisy(20.0, &mut Chance::new(n)).png()
    }),
    ("shading 0.6 to 0.9", |d, _| {
        ink(d).on(|_, x| 0.6 + 0.3 * x, 0.1).png()
    }),
    ("JPEG, quality 20", |d, _| paper(d).jpeg(20)),
    ("thin pen", |d, _| ink(d).with_pen(3.0).on(even, 0.1).png()),
    ("thick pen", |d, _| ink(d).wider(8.0).on(even, 0.1).png()),
    ("turned by 10 degrees", |d, _| {
        Ink::drawn(d, [SIDE; 2], 10.0, [0.5; 2], 10.0)
            .on(even, 0.1)
            .png()
    }),
    ("a rule beside it", |d, _| {
        paper(d).rectangle([0.0, 0.05], [1.0, 0.012], 0.2).png()
    }),
    ("blue ink", |d, _| {
        ink(d).coloured(|_, _| [0.95; 3], [0.1, 0.2, 0.7]).png()
    }),
];

/// Others, and several at once.
pub const OTHERS: &[(&str, Make)] = &[
    ("clean, smooth", |d, _| paper(d).png()),
    ("28 x 28 as it is", |d, _| {
        Ink::squares(d, 1).on(|_, _| 1.0, 0.0).turned_over().png()
    }),
    ("28 x 28, dark on white", |d, _| {
        Ink::squares(d, 1).on(|_, _| 1.0, 0.0).png()
    }),
    ("twelve specks", |d, n| {
        specks(paper(d), 12, &mut Chance::new(n)).png()
    }),
    ("a black speck, pencil", |d, _| {
        ink(d)
            .on(even, 0.7)
            .rectangle([0.05, 0.9], [6.0 / 280.0; 2], 0.0)
            .png()
    }),
    ("squares, noise 20", |d, n| {
        Ink::squares(d, 10)
            .on(|_, _| 1.0, 0.0)
            .noisy(20.0, &mut Chance::new(n))
            .png()
    }),
    ("28 x 28, noise 10", |d, n| {
        Ink::squares(d, 1)
            .on(|_, _| 0.9, 0.05)
            .noisy(10.0, &mut Chance::new(n))
            .png()
    }),
    ("shading 0.9 to 0.6 down, noise 10", |d, n| {
        ink(d)
            .on(|y, _| 0.9 - 0.3 * y, 0.1)
            .noisy(10.0, &mut Chance::new(n))
            .png()
    }),
    ("shading added, ink even", |d, _| {
        let mut photo = ink(d).on(|_, _| 1.0, 0.0);
        for (at, pixel) in photo.pixels.iter_mut().enumerate() {
            let paper = 0.6 + 0.3 * (at % SIDE) as f32 / SIDE as f32;
            *pixel = pixel.map(|v| 0.1 + v * (paper - 0.1));
        }
        photo.png()
    }),
    ("JPEG, quality 10, noise 10", |d, n| {
        paper(d).noisy(10.0, &mut Chance::new(n)).jpeg(10)
    }),
    ("very thin pen", |d, _| {
        ink(d).with_pen(1.0).on(even, 0.1).png()
    }),
    ("strokes narrower by 8", |d, _| {
        ink(d).wider(-4.0).on(even, 0.1).png()
    }),
    ("very thick pen", |d, _| {
        ink(d).with_pen(20.0).on(even, 0.1).png()
    }),
    ("turned by -10 degrees", |d, _| {
        Ink::drawn(d, [SIDE; 2], 10.0, [0.5; 2], -10.0)
            .on(even, 0.1)
            .png()
    }),
    ("a rule below it", |d, _| {
        paper(d).rectangle([0.965, 0.0], [0.01, 1.0], 0.2).png()
    }),
    ("a short rule beside it", |d, _| {
        paper(d).rectangle([0.1, 0.9], [0.8, 0.015], 0.1).png()
    }),
    ("lined paper", |d, _| {
        let light = |y: f32, _: f32| {
            if (y * 9.0).fract() < 0.06 {
                [0.7, 0.8, 0.92]
            } else {
                [0.95; 3]
            }
        };
        ink(d).coloured(light, [0.1; 3]).png()
    }),
    ("dark lined paper", |d, _| {
        (1..6)
            .fold(paper(d), |photo, at| {
                photo.rectangle([at as f32 / 6.0, 0.0], [0.01, 1.0], 0.3)
            })
            .png()
    }),
    ("squared paper", |d, _| {
        let on = |v: f32| (v * 11.0).fract() < 0.07;
        ink(d)
            .on(|y, x| if on(y) || on(x) { 0.75 } else { 0.95 }, 0.1)
            .png()
    }),
    ("light blue ink", |d, _| {
        ink(d).coloured(|_, _| [0.95; 3], [0.5, 0.7, 1.0]).png()
    }),
    ("yellow ink", |d, _| {
        ink(d).coloured(|_, _| [1.0; 3], [1.0, 0.95, 0.2]).png()
    }),
    ("red on a blue board", |d, _| {
        ink(d)
            .coloured(|_, _| [0.1, 0.2, 0.6], [9.0, 1.5, 0.3])
            .png()
    }),
    ("white on black", |d, _| ink(d).on(|_, _| 0.08, 11.0).png()),
    ("chalk, noise 10, shading", |d, n| {
        ink(d)
            .on(|_, x| 0.15 + 0.1 * x, 4.0)
            .noisy(10.0, &mut Chance::new(n))
            .png()
    }),
    ("pencil", |d, _| ink(d).on(even, 0.75).png()),
    ("pencil, noise 5, shading", |d, n| {
        ink(d)
            .on(|y, x| 0.9 - 0.1 * x - 0.1 * y, 0.7)
            .noisy(5.0, &mut Chance::new(n))
            .png()
    }),
    ("soft shadow over a corner", |d, _| {
        paper(d).lit(|y, x| shadow(y, x, 0.3)).png()
    }),
    ("sharp shadow over a corner", |d, _| {
        paper(d).lit(|y, x| shadow(y, x, 0.02)).png()
    }),
    ("vignette, JPEG 50, noise 5", |d, n| {
        let light = |y: f32, x: f32| 1.0 - 0.9 * ((y - 0.5).powi(2) + (x - 0.5).powi(2));
        paper(d).lit(light).noisy(5.0, &mut Chance::new(n)).jpeg(50)
    }),
    ("a dark table at the left", |d, _| {
        paper(d).rectangle([0.0, 0.0], [1.0, 0.09], 0.25).png()
    }),
    ("a dark table below", |d, _| {
        Ink::drawn(d, [400, 300], 9.0, [0.4, 0.5], 0.0)
            .on(even, 0.1)
            .rectangle([0.85, 0.0], [0.15, 1.0], 0.3)
            .png()
    }),
    ("a table around", |d, _| {
        let photo = Ink::drawn(d, [400; 2], 10.0, [0.5; 2], 0.0).on(even, 0.1);
        [
            ([0.0, 0.0], [0.08, 1.0]),
            ([0.0, 0.0], [1.0, 0.1]),
            ([0.93, 0.0], [0.07, 1.0]),
            ([0.0, 0.91], [1.0, 0.09]),
        ]
        .into_iter()
        .fold(photo, |photo, (at, size)| photo.rectangle(at, size, 0.3))
        .png()
    }),
    ("a light table at the right", |d, _| {
        ink(d)
            .on(|_, _| 0.6, 0.1)
            .rectangle([0.0, 0.93], [1.0, 0.07], 1.0)
            .png()
    }),
    ("far off the middle", |d, _| {
        Ink::drawn(d, [600, 800], 8.0, [0.2, 0.84], 0.0)
            .on(even, 0.1)
            .png()
    }),
    ("small in a large picture, noise 10", |d, n| {
        Ink::drawn(d, [900, 1200], 7.0, [0.6, 0.3], 0.0)
            .on(even, 0.1)
            .noisy(10.0, &mut Chance::new(n))
            .png()
    }),
    ("strokes on nothing", |d, _| {
        let values: Vec<u8> = ink(d)
            .cover
            .iter()
            .flat_map(|c| [20, (c * 255.0) as u8])
            .collect();
        png(SIDE, SIDE, png::ColorType::GrayscaleAlpha, &values)
    }),
    ("light strokes on nothing", |d, _| {
        let values: Vec<u8> = ink(d)
            .cover
            .iter()
            .flat_map(|c| [240, (c * 255.0) as u8])
            .collect();
        png(SIDE, SIDE, png::ColorType::GrayscaleAlpha, &values)
    }),
    ("cropped close", |d, _| {
        Ink::drawn(d, [205; 2], 10.0, [0.5; 2], 0.0)
            .on(even, 0.1)
            .png()
    }),
    ("out of focus, noise 10", |d, n| {
        paper(d).blurred(6).noisy(10.0, &mut Chance::new(n)).png()
    }),
    ("all at once", |d, n| {
        let chance = &mut Chance::new(n);
        let degrees = chance.between(-8.0, 8.0);
        let photo = Ink::drawn(d, [480, 640], 12.0, [0.45, 0.55], degrees).coloured(
            |y, x| {
                [
                    0.6 + 0.3 * x - 0.1 * y,
                    0.6 + 0.28 * x - 0.1 * y,
                    0.55 + 0.3 * x - 0.1 * y,
                ]
            },
            [0.15, 0.2, 0.6],
        );
        specks(photo, 6, chance)
            .blurred(1)
            .noisy(10.0, chance)
            .jpeg(40)
    }),
];

/// A picture of so many pixels a side, as a file.
type Draw = fn(usize) -> Vec<u8>;

/// Pages without a digit.
pub const BLANK: &[(&str, Draw)] = &[
    ("white", |side| page(side).on(|_, _| 1.0, 0.0).png()),
    ("noise 20", |side| {
        let light = page(side).on(even, 0.0);
        light.noisy(20.0, &mut Chance::new(side)).png()
    }),
    ("black, noise 20", |side| {
        let dark = page(side).on(|_, _| 0.1, 0.0);
        dark.noisy(20.0, &mut Chance::new(side)).png()
    }),
    ("shading", |side| {
        page(side).on(|_, x| 0.6 + 0.3 * x, 0.0).png()
    }),
    ("shading, noise 10", |side| {
        let shaded = page(side).on(|y, x| 0.9 - 0.2 * x - 0.1 * y, 0.0);
        shaded.noisy(10.0, &mut Chance::new(side)).png()
    }),
    ("noise 10, JPEG 20", |side| {
        let light = page(side).on(even, 0.0);
        light.noisy(10.0, &mut Chance::new(side)).jpeg(20)
    }),
    ("vignette, noise 5, JPEG 50", |side| {
        let light = |y: f32, x: f32| 0.95 - 0.8 * ((y - 0.5).powi(2) + (x - 0.5).powi(2));
        let photo = page(side).on(light, 0.0);
        photo.noisy(5.0, &mut Chance::new(side)).jpeg(50)
    }),
    ("a sharp shadow over a corner", |side| {
        page(side).on(|y, x| 0.95 * shadow(y, x, 0.02), 0.0).png()
    }),
    ("a soft shadow over a corner", |side| {
        page(side).on(|y, x| 0.95 * shadow(y, x, 0.3), 0.0).png()
    }),
    ("a table at the left", |side| {
        page(side)
            .on(even, 0.0)
            .rectangle([0.0, 0.0], [1.0, 0.09], 0.25)
            .png()
    }),
];

fn page(side: usize) -> Ink {
    Ink::drawn(&[0.0; 784], [side; 2], side as f32 / 28.0, [0.5; 2], 0.0)
}
