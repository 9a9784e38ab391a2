//! What a recipe may say. Checks, the JSON schema and the comments of written recipes are made from these fields.

use crate::{EarlyStopping, Pace, RunDescription, Sampling};
use zerokara_core::Arithmetic;
use zerokara_data::Pictures;
use zerokara_nn::{losses, models, optimizers};

/// A field: its name, what it is, and what it takes.
#[derive(Clone)]
pub(super) struct Field {
    pub name: &'static str,
    pub about: &'static str,
    pub form: Form,
}

/// What a field takes.
#[derive(Clone)]
pub(super) enum Form {
    /// True or false.
    Flag,
    /// A whole number.
    Whole { least: u64, most: u64 },
    /// A number.
    Number { least: f64, most: f64 },
    /// A number above 0.
    Positive,
    /// A text.
    Text,
    /// One of these texts.
    Choice(Vec<&'static str>),
    /// A list.
    List {
        of: Box<Form>,
        least: usize,
        most: usize,
    },
    /// A list of layers, among which may be blocks of layers.
    Layers,
    /// A table with any names.
    Map(Box<Form>),
    /// A table with these fields.
    Table(Vec<Field>),
    /// A table in which the name under the key decides about the other fields.
    Named {
        key: &'static str,
        kinds: Vec<(&'static str, Vec<Field>)>,
    },
    /// A table of fields' paths, each with a table of this form; paths may be written as tables in tables.
    Ranges(Box<Form>),
    /// One of these forms.
    Either(Vec<Form>),
}

impl Form {
    pub fn whole(least: u64) -> Self {
        Form::Whole {
            least,
            most: u64::MAX,
        }
    }

    pub fn from(least: f64) -> Self {
        Form::Number {
            least,
            most: f64::INFINITY,
        }
    }

    pub fn any() -> Self {
        Form::from(f64::NEG_INFINITY)
    }

    pub fn share() -> Self {
        Form::Number {
            least: 0.0,
            most: 1.0,
        }
    }

    pub fn list(of: Form) -> Self {
        Form::List {
            of: Box::new(of),
            least: 0,
            most: usize::MAX,
        }
    }

    pub fn pair(of: Form) -> Self {
        Form::List {
            of: Box::new(of),
            least: 2,
            most: 2,
        }
    }
}

pub(super) fn field(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { name, about, form }
}

fn bounds(least: f64, most: f64) -> Form {
    Form::Number { least, most }
}

/// A share of the samples, or a number of them.
fn amount() -> Form {
    Form::Either(vec![Form::whole(0), Form::share()])
}

/// The longest run.
const MOST_EPOCHS: u64 = 1_000_000;

/// A whole recipe, in the order in which it is written.
pub(super) fn recipe() -> Form {
    let count = |most| Form::Whole { least: 1, most };
    Form::Table(vec![
        field(
            "version",
            Form::Whole { least: 1, most: 2 },
            "The version of this form of recipes",
        ),
        field(
            "seed",
            Form::whole(0),
            "The seed of everything random: same seed, same model, bit by bit",
        ),
        field(
            "epochs",
            count(MOST_EPOCHS),
            "How often to go through the training data",
        ),
        field("batch_size", count(1_000_000), "Samples in a step"),
        field(
            "accumulate",
            count(1_000_000),
            "Parts in which a step is taken: a large batch in the memory of a small one",
        ),
        field(
            "validation",
            amount(),
            "Held back from the training data, to keep the epoch that does best there: a share such as 0.1, or a number of samples",
        ),
        field(
            "train_sample",
            Form::whole(0),
            "Training samples that the evaluation after each epoch takes",
        ),
        field(
            "schedule",
            Form::Either(vec![
                Form::Choice(Pace::NAMES.to_vec()),
                Form::Map(Box::new(Form::Map(Box::new(Form::any())))),
            ]),
            "How the learning rate changes: constant, step, linear, cosine, one-cycle or warm-up",
        ),
        field(
            "ema",
            Form::Number {
                least: 0.0,
                most: 0.999_999,
            },
            "Decay of the moving average of the weights, which is judged and kept, such as 0.999",
        ),
        field(
            "class_weights",
            Form::Either(vec![
                Form::Choice(vec!["balanced"]),
                Form::list(Form::from(0.0)),
            ]),
            "How much each class counts in the loss: \"balanced\", so that rare ones count more, or a number for each",
        ),
        field(
            "sampling",
            Form::Choice(Sampling::NAMES.to_vec()),
            "Which samples an epoch takes: each once (shuffled), equally many of each class (balanced), or a text in order, its states carried along (stream)",
        ),
        field(
            "l2_penalty",
            Form::from(0.0),
            "The book's weight decay: this share of half the squares of all weights is added to the loss",
        ),
        field(
            "precision",
            Form::Choice(Arithmetic::ALL.map(Arithmetic::name).to_vec()),
            "How convolutions multiply and sum: f32, direct or bf16",
        ),
        field(
            "checkpoint_every",
            Form::Text,
            "How often everything is saved: 500steps, 1epoch, 2min",
        ),
        field("data", data(), "What is learned from"),
        field(
            "model",
            model(),
            "The network: a ready-made one by name, or layers",
        ),
        field("loss", loss(), "What is made small"),
        field("optimizer", optimizer(), "How gradients change parameters"),
        field(
            "groups",
            Form::list(group()),
            "Parameters that are trained in a way of their own",
        ),
        field(
            "augment",
            augment(),
            "How training images are changed by chance, anew in every epoch",
        ),
        field("clipping", clipping(), "How gradients are clipped"),
        field(
            "padding",
            Form::Map(Box::new(Form::Map(Box::new(anything())))),
            "How samples that differ in size become one array",
        ),
        field(
            "callbacks",
            Form::list(callback()),
            "What looks at steps and epochs",
        ),
        field(
            "search",
            super::ranges::form(),
            "What `zerokara search` varies, and how; a single run leaves it aside",
        ),
    ])
}

fn anything() -> Form {
    Form::Either(vec![Form::Flag, Form::any(), Form::Text])
}

fn data() -> Form {
    let side = || Form::Whole {
        least: 1,
        most: 4096,
    };
    Form::Table(vec![
        field(
            "name",
            Form::Text,
            "mnist, fashion-mnist, or what the data are called",
        ),
        field(
            "path",
            Form::Text,
            "A table (CSV, TSV), a text, a list of pictures, or a folder; where it does not begin with /, from the recipe's folder",
        ),
        field(
            "target",
            Form::Text,
            "The column of a table that is learned",
        ),
        field(
            "learn",
            Form::Choice(vec!["classes", "number"]),
            "Whether the target is one of several classes, or a number",
        ),
        field(
            "columns",
            Form::Map(Box::new(Form::Choice(vec![
                "number", "category", "date", "ignore",
            ]))),
            "What columns of a table hold: number, category, date; or ignore",
        ),
        field(
            "size",
            Form::pair(side()),
            "Height and width that pictures are brought to",
        ),
        field(
            "channels",
            Form::Whole { least: 1, most: 3 },
            "1 for grey pictures, 3 for colour",
        ),
        field(
            "fit",
            Form::Choice(Pictures::ALL.map(Pictures::name).to_vec()),
            "How pictures are brought to their size: plain (stretched), crop (scaled and cut), digits (found and centred)",
        ),
        field(
            "context",
            Form::Whole {
                least: 1,
                most: 1 << 20,
            },
            "Characters of running text that the model sees at once",
        ),
        field(
            "skip_unreadable",
            Form::Flag,
            "Leave out pictures that cannot be read",
        ),
        field(
            "test",
            amount(),
            "Set aside to judge by, where the data have no such part: a share, or a number of samples",
        ),
        field("limit", Form::whole(1), "Only so many samples of each part"),
        field("own", Form::Flag, "Whether a program gives the data"),
        field(
            "found",
            Form::Map(Box::new(anything())),
            "What was found when they were read",
        ),
    ])
}

fn model() -> Form {
    let mut names = models::NAMES.to_vec();
    names.extend(models::OF_LANGUAGE);
    let size = |most| Form::Whole { least: 1, most };
    names.push(RunDescription::OF_LAYERS);
    Form::Table(vec![
        field(
            "name",
            Form::Choice(names),
            "A ready-made network, or gpt, lstm or gru for running text; \"layers\" for one of the layers below",
        ),
        field("layers", Form::Layers, "Its layers, from input to output"),
        field(
            "depth",
            size(1_000),
            "Of a model of language (gpt, lstm, gru): how many layers",
        ),
        field(
            "heads",
            size(1_000),
            "Of gpt: the heads of each layer's attention, which divide the width",
        ),
        field(
            "width",
            size(100_000),
            "Of a model of language: the numbers that it has of each character",
        ),
        field(
            "dropout",
            Form::share(),
            "Of a model of language: the share that is dropped in training",
        ),
        field("own", Form::Flag, "Whether a program gives the model"),
    ])
}

/// Names of losses with what their settings take.
fn loss() -> Form {
    let scale = || {
        vec![
            field(
                "mean",
                Form::any(),
                "The mean of the targets that are trained on",
            ),
            field(
                "std",
                Form::Positive,
                "Their deviation: the network learns (target - mean) / std",
            ),
        ]
    };
    let ignored = || {
        field(
            "ignore_index",
            Form::any(),
            "The label of samples that count nowhere",
        )
    };
    let padding = |what| field("padding", Form::any(), what);
    let kind = |name: &'static str| {
        let fields = match name {
            "softmax_cross_entropy" => {
                let smoothing = field(
                    "label_smoothing",
                    Form::share(),
                    "How much of each label is spread over all classes",
                );
                vec![smoothing, ignored()]
            }
            "negative_log_likelihood" => vec![ignored()],
            "ctc" => vec![
                field(
                    "blank",
                    Form::Whole {
                        least: 0,
                        most: 1 << 24,
                    },
                    "The class that stands for no label",
                ),
                padding("The label behind the end of sequences"),
                field(
                    "zero_infinity",
                    Form::Whole { least: 0, most: 1 },
                    "1 where labels for which there are too few steps count nothing",
                ),
            ],
            "mean_squared_error" | "mean_absolute_error" => scale(),
            "huber" => {
                let delta = field(
                    "delta",
                    Form::Positive,
                    "The distance from which on the loss grows in a straight line",
                );
                std::iter::once(delta).chain(scale()).collect()
            }
            "token_cross_entropy" => vec![padding("The token behind the end of sequences")],
            _ => Vec::new(),
        };
        (name, fields)
    };
    Form::Named {
        key: "name",
        kinds: losses::NAMES.map(kind).to_vec(),
    }
}

fn optimizer() -> Form {
    let kind = |name: &'static str| {
        let rate = field(
            "learning_rate",
            Form::Positive,
            "The peak of the learning rate",
        );
        let settings = optimizers::by_name(name, 1.0, &[])
            .map(|made| made.settings())
            .unwrap_or_default();
        let setting = |(name, _): (&'static str, f64)| {
            let (form, about) = match name {
                "weight_decay" => (Form::from(0.0), "How strongly weights are drawn towards 0"),
                "momentum" => (Form::share(), "How much of the last step is kept"),
                "beta1" => (
                    Form::share(),
                    "How slowly the mean of the gradients changes",
                ),
                "beta2" => (
                    Form::share(),
                    "How slowly the mean of their squares changes",
                ),
                "decay" => (
                    Form::share(),
                    "How slowly the mean of the gradients' squares changes",
                ),
                "eps" => (Form::from(0.0), "What is added to a divisor"),
                _ => (Form::any(), "A setting of the optimizer"),
            };
            field(name, form, about)
        };
        let fields = std::iter::once(rate).chain(settings.into_iter().map(setting));
        (name, fields.collect())
    };
    Form::Named {
        key: "name",
        kinds: RunDescription::OPTIMIZERS.map(kind).to_vec(),
    }
}

fn group() -> Form {
    Form::Table(vec![
        field(
            "parameters",
            Form::list(Form::Text),
            "Patterns of their paths: \"*.bias\", \"conv1.*\"",
        ),
        field("learning_rate", Form::Positive, "Their own learning rate"),
        field("weight_decay", Form::from(0.0), "Their own weight decay"),
        field("frozen", Form::Flag, "They keep their values"),
    ])
}

fn augment() -> Form {
    Form::Table(vec![
        field("seed", Form::whole(0), "The seed of the changes"),
        field(
            "shift",
            Form::whole(0),
            "Shift by up to so many pixels along each axis",
        ),
        field(
            "shift_share",
            Form::share(),
            "Shift by up to this share of height and width, in place of pixels",
        ),
        field("degrees", bounds(0.0, 180.0), "Turn by up to this angle"),
        field("flip", Form::Flag, "Swap left and right by chance"),
        field("flip_vertical", Form::Flag, "Swap top and bottom by chance"),
        field(
            "scale",
            Form::Table(vec![
                field("from", bounds(0.1, 10.0), "The smallest factor"),
                field("to", bounds(0.1, 10.0), "The largest factor"),
            ]),
            "Zoom by a factor between two",
        ),
        field(
            "crop",
            Form::share(),
            "Take a window of at least this share of the area",
        ),
        field(
            "erase",
            Form::Table(vec![
                field("chance", Form::share(), "How often"),
                field("share", Form::share(), "Its largest share of the area"),
            ]),
            "Set a rectangle to the background",
        ),
        field(
            "colour",
            Form::share(),
            "Change brightness, contrast and saturation by up to this share",
        ),
        field(
            "elastic",
            Form::Table(vec![
                field("alpha", bounds(0.0, 1000.0), "How far pixels are moved"),
                field(
                    "sigma",
                    bounds(0.1, 100.0),
                    "Over how many pixels they are moved alike",
                ),
            ]),
            "Bend the image",
        ),
        field(
            "mixup",
            Form::from(0.0),
            "Mix each image with another of the batch, by shares from Beta(mixup, mixup)",
        ),
        field(
            "cutmix",
            Form::from(0.0),
            "Put a part of another image of the batch in each",
        ),
    ])
}

fn clipping() -> Form {
    Form::Table(vec![
        field(
            "norm",
            Form::Positive,
            "Gradients of a larger norm are scaled down to it",
        ),
        field(
            "value",
            Form::Positive,
            "Each number of the gradients is kept within this",
        ),
    ])
}

fn callback() -> Form {
    Form::Named {
        key: "name",
        kinds: vec![(
            EarlyStopping::NAME,
            vec![
                field(
                    "patience",
                    Form::whole(1),
                    "Stop after so many epochs without a smaller loss",
                ),
                field(
                    "min_delta",
                    Form::from(0.0),
                    "By how much it must be smaller",
                ),
            ],
        )],
    }
}
