//! Words as vectors (chapters 3 and 4 of the book's second volume): skip-gram with negative sampling.
//!
//! A word is known by the words around it. The sentences are made by a small grammar, so that what the vectors should have
//! learned is known too: "king" to "queen" is what "man" is to "woman", since only the possessive differs.
//!
//! ```text
//! cargo run --release -p zerokara --features figures --example word2vec
//! ```

mod shared;

use shared::{Dice, draw};
use zerokara::{figures::Heatmap, prelude::*};

/// A man's word, a woman's, two verbs of theirs (present and past), and the thing that goes with each verb.
const ROLES: [[&str; 8]; 6] = [
    [
        "king", "queen", "guards", "guarded", "wears", "wore", "throne", "crown",
    ],
    [
        "boy", "girl", "kicks", "kicked", "hugs", "hugged", "ball", "bear",
    ],
    [
        "waiter", "waitress", "serves", "served", "carries", "carried", "soup", "plate",
    ],
    [
        "actor", "actress", "plays", "played", "learns", "learned", "role", "text",
    ],
    [
        "uncle", "aunt", "waters", "watered", "digs", "dug", "tulips", "garden",
    ],
    [
        "monk", "nun", "sings", "sang", "writes", "wrote", "psalm", "letter",
    ],
];
const OTHERS: [&str; 4] = ["his", "her", "today", "yesterday"];
/// How far around a word its neighbours go, false neighbours for each true one, and numbers in a vector.
const WINDOW: usize = 4;
const NEGATIVES: usize = 5;
const FEATURES: usize = 24;

/// A vector for each word, and another for each word as a neighbour; a pair's score is their product.
#[derive(Module)]
struct SkipGram {
    words: Embedding,
    neighbours: Embedding,
}

impl Model for SkipGram {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let word = self.words.forward(&inputs.tensor("word"), cx).unsqueeze(1); // [N, 1, D]
        let others = self.neighbours.forward(&inputs.tensor("others"), cx); // [N, 1 + NEGATIVES, D]
        Tensors::one("scores", (others * word).sum_axes(&[-1], false))
    }
}

fn main() -> Result<()> {
    let mut vocabulary: Vec<&str> = ROLES.concat();
    vocabulary.extend(OTHERS);
    let number = |word: &str| vocabulary.iter().position(|w| *w == word).unwrap_or(0);

    // Sentences such as "yesterday queen guarded her throne" (without "the", as is usual), and all pairs of neighbours.
    let mut dice = Dice(1);
    let mut pairs = Vec::new();
    let mut counts = vec![0usize; vocabulary.len()];
    for _ in 0..8_000 {
        let role = ROLES[dice.below(ROLES.len())];
        let (sex, verb, past) = (dice.below(2), dice.below(2), dice.below(2));
        let sentence = [
            OTHERS[2 + past],
            role[sex],
            role[2 + 2 * verb + past],
            OTHERS[sex],
            role[6 + verb],
        ]
        .map(number);
        for (at, &word) in sentence.iter().enumerate() {
            counts[word] += 1;
            let near = at.saturating_sub(WINDOW)..sentence.len().min(at + WINDOW + 1);
            pairs.extend(
                near.filter(|&i| i != at)
                    .map(|i| (word as i64, sentence[i] as i64)),
            );
        }
    }
    // False neighbours are drawn as often as the 0.75th power of a word's count says (page 158).
    let urn: Vec<i64> = (counts.iter().enumerate())
        .flat_map(|(word, &n)| vec![word as i64; (n as f64).powf(0.75) as usize])
        .collect();

    let model = SkipGram {
        words: Embedding::new(vocabulary.len(), FEATURES)
            .initializer(Initializer::Normal { std: 0.1 }),
        neighbours: Embedding::new(vocabulary.len(), FEATURES)
            .initializer(Initializer::Normal { std: 0.1 }),
    };
    let (batch, width) = (500, 1 + NEGATIVES);
    let inputs = [("word", vec![batch]), ("others", vec![batch, width])];
    model.build_for(
        &inputs
            .map(|(n, shape)| (n, Meta::new(shape, DType::I64)))
            .into(),
        1,
    )?;
    let model = std::sync::Arc::new(model);
    let mut training = TrainStep::new(model.clone(), BinaryCrossEntropy::new(), Adam::new(0.01))?;
    let truth: Vec<f32> = (0..batch * width)
        .map(|i| f32::from(i % width == 0))
        .collect();
    let truth = Array::new([batch, width], truth);
    let steps = 3_000;
    for step in 0..steps {
        let (mut word, mut others) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            let (center, neighbour) = pairs[dice.below(pairs.len())];
            word.push(center);
            others.push(neighbour);
            others.extend((0..NEGATIVES).map(|_| urn[dice.below(urn.len())]));
        }
        let inputs = Arrays::one("word", Array::new([batch], word))
            .with("others", Array::new([batch, width], others));
        let rate = 0.01 * (1.0 - f64::from(step) / f64::from(steps));
        let loss = training.step(&inputs, &truth, rate)?.loss;
        if step % 500 == 0 {
            println!("step {step:4}: loss {loss:.3}");
        }
    }

    // Vectors of length 1: their products are the cosines of angles.
    let vectors = model.words.weight_slot().parameter().map(|p| p.tensor());
    let vectors = vectors.ok_or_else(|| Error::new("the model has no vectors"))?;
    let unit = vectors.lp_normalization(-1, 2);
    let cosines = unit.matmul(&unit.t()).to_vec::<f32>()?;
    let cosine = |a: &str, b: &str| cosines[number(a) * vocabulary.len() + number(b)];
    for word in ["queen", "soup", "wrote"] {
        let mut all: Vec<&str> = vocabulary.iter().copied().filter(|w| *w != word).collect();
        all.sort_by(|a, b| cosine(word, b).total_cmp(&cosine(word, a)));
        println!("nearest to {word}: {}", all[..4].join(", "));
    }

    // a is to b as c is to which word? That whose vector is nearest to b - a + c (page 168).
    let answer = |[a, b, c]: [&str; 3]| {
        let score = |w: &str| cosine(b, w) - cosine(a, w) + cosine(c, w);
        let others = vocabulary.iter().filter(|w| ![a, b, c].contains(w));
        others
            .max_by(|x, y| score(x).total_cmp(&score(y)))
            .copied()
            .unwrap_or("?")
    };
    println!(
        "man to woman: king to queen is as boy to {}",
        answer(["king", "queen", "boy"])
    );
    println!(
        "present to past: guards to guarded is as sings to {}",
        answer(["guards", "guarded", "sings"])
    );
    for (what, columns) in [("sex", vec![(0, 1)]), ("tense", vec![(2, 3), (4, 5)])] {
        let pairs: Vec<(&str, &str)> = (ROLES.iter())
            .flat_map(|role| columns.iter().map(|&(a, b)| (role[a], role[b])))
            .collect();
        let (mut right, mut asked) = (0, 0);
        for (i, (a, b)) in pairs.iter().enumerate() {
            for (_, (c, d)) in pairs.iter().enumerate().filter(|(j, _)| i != *j) {
                right +=
                    usize::from(answer([a, b, c]) == *d) + usize::from(answer([b, a, d]) == *c);
                asked += 2;
            }
        }
        println!("analogies of {what}: {right} of {asked} right");
    }

    let shown: Vec<&str> = ROLES.iter().flat_map(|role| [role[0], role[1]]).collect();
    let mut map = Heatmap::new("How alike words are (cosines)", [shown.len(); 2])
        .names(shown.iter().copied(), shown.iter().copied())
        .axes("word", "word");
    for (i, a) in shown.iter().enumerate() {
        for (j, b) in shown.iter().enumerate() {
            let value = f64::from(cosine(a, b));
            map = map.cell(
                [i, j],
                (value * 100.0).round() / 100.0,
                usize::from(value < 0.0),
                value.abs(),
            );
        }
    }
    let japanese = [
        ("How alike words are (cosines)", "単語の類似度（コサイン）"),
        ("word", "単語"),
    ];
    draw("word2vec", &map.figure(), &japanese)
}
