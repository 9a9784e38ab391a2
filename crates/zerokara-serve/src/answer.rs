//! What a model's outputs say, as JSON.

use crate::refusal::{Outcome, Refusal};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use zerokara_core::Arrays;
use zerokara_nn::{Answer, Loss, SoftmaxCrossEntropy, Task, tasks::row};
use zerokara_train::SavedModel;

/// How outputs are read.
pub(crate) enum Reads {
    /// As the task says that the model was trained for.
    Task(Arc<dyn Loss>),
    /// As numbers, by the outputs' names.
    Numbers,
}

/// What is read of one sample.
pub(crate) enum Read {
    Answer(Answer),
    /// Of several outputs, or of a task that is not known.
    Outputs(Vec<(String, Vec<f64>)>),
}

impl Reads {
    pub fn of(model: &SavedModel) -> Self {
        match (model.task(), model.task_name()) {
            (Some(task), _) => Self::Task(task),
            (None, None) if !model.card().class_names.is_empty() => {
                Self::Task(Arc::new(SoftmaxCrossEntropy::new()))
            }
            _ => Self::Numbers,
        }
    }

    /// What it is called in descriptions.
    pub fn name(&self) -> &str {
        match self {
            Self::Task(task) => Loss::name(&**task),
            Self::Numbers => "numbers",
        }
    }

    /// What the outputs for one sample of a batch say.
    pub fn answer(&self, outputs: &Arrays, sample: usize) -> Outcome<Read> {
        let broken = |e: zerokara_core::Error| {
            let text = e.to_string();
            let line = text.lines().next().unwrap_or_default();
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, line)
        };
        let read = match self {
            Self::Task(task) if outputs.len() == 1 => {
                Read::Answer(task.answer(outputs, sample).map_err(broken)?)
            }
            _ => {
                let all = outputs
                    .iter()
                    .map(|(name, output)| Ok((name.to_string(), row(output, sample)?)));
                Read::Outputs(all.collect::<Result<_, _>>().map_err(broken)?)
            }
        };
        match read.is_finite() {
            true => Ok(read),
            false => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the model has no answer: a number is NaN or infinite",
            )),
        }
    }
}

impl Read {
    /// JSON has no number for others.
    fn is_finite(&self) -> bool {
        let finite = |numbers: &Vec<f64>| numbers.iter().all(|x| x.is_finite());
        match self {
            Self::Answer(
                Answer::Class { probabilities, .. }
                | Answer::Labels { probabilities }
                | Answer::Tokens { probabilities, .. },
            ) => finite(probabilities),
            Self::Answer(Answer::Numbers(numbers)) => finite(numbers),
            Self::Answer(_) => true,
            Self::Outputs(outputs) => outputs.iter().all(|(_, numbers)| finite(numbers)),
        }
    }
}

/// From this probability on a label is taken to be there.
const IS_THERE: f64 = 0.5;

/// The answer for one sample.
pub(crate) fn json(read: Read, class_names: &[String]) -> Value {
    let name = |class: usize| class_names.get(class).cloned().unwrap_or(class.to_string());
    match read {
        Read::Answer(Answer::Class {
            class,
            probabilities,
        }) => json!({
            "class": class,
            "name": name(class),
            "probability": probabilities.get(class),
            "probabilities": probabilities,
        }),
        Read::Answer(Answer::Labels { probabilities }) => {
            let there = (0..probabilities.len()).filter(|&label| probabilities[label] >= IS_THERE);
            json!({ "labels": there.map(name).collect::<Vec<_>>(), "probabilities": probabilities })
        }
        Read::Answer(Answer::Numbers(values)) => json!({ "values": values }),
        Read::Answer(Answer::Tokens {
            next,
            probabilities,
        }) => json!({ "next": next, "probabilities": probabilities }),
        Read::Answer(_) => Value::Null,
        Read::Outputs(outputs) => match &outputs[..] {
            [(_, values)] => json!({ "values": values }),
            _ => {
                let fields = outputs
                    .into_iter()
                    .map(|(name, values)| (name, json!(values)));
                json!({ "outputs": fields.collect::<Map<_, _>>() })
            }
        },
    }
}
