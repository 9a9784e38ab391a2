//! Whether a value is what its field takes.

use super::{
    fields::{Field, Form},
    layers,
};
use serde_json::Value;

/// What is wrong, and with which field.
pub(super) struct Fault {
    /// The field's path, such as `optimizer.learning_rate`.
    pub path: String,
    /// Whether it is the field's name that is wrong, rather than its value.
    pub is_name: bool,
    pub why: String,
}

impl Fault {
    fn value(path: &str, why: impl Into<String>) -> Self {
        Self {
            path: path.to_string(),
            is_name: false,
            why: why.into(),
        }
    }
}

/// The first thing that is wrong with a value.
pub(super) fn check(value: &Value, form: &Form, path: &str) -> Result<(), Fault> {
    let is = || format!("{path} is {}", shown(value));
    let must = |what: String| Err(Fault::value(path, format!("{}; it must be {what}", is())));
    match form {
        Form::Flag => match value {
            Value::Bool(_) => Ok(()),
            _ => must("true or false".into()),
        },
        Form::Whole { least, most } => match whole(value) {
            Some(number) if (*least..=*most).contains(&number) => Ok(()),
            _ if *most == u64::MAX => must(format!("a whole number from {least} on")),
            _ => must(format!("a whole number from {least} to {most}")),
        },
        Form::Number { least, most } => match value.as_f64() {
            Some(number) if (*least..=*most).contains(&number) => Ok(()),
            _ => must(range(*least, *most)),
        },
        Form::Positive => match value.as_f64() {
            Some(number) if number > 0.0 => Ok(()),
            _ => must("a number above 0".into()),
        },
        Form::Text => match value {
            Value::String(_) => Ok(()),
            _ => must("a text, in quotes".into()),
        },
        Form::Choice(names) => match value.as_str() {
            Some(name) if names.contains(&name) => Ok(()),
            Some(name) => Err(Fault::value(
                path,
                format!("{path} is {name:?}; {}", known(name, names)),
            )),
            None => must(format!("one of {}", names.join(", "))),
        },
        Form::List { of, least, most } => match value {
            Value::Array(items) if (*least..=*most).contains(&items.len()) => items
                .iter()
                .enumerate()
                .try_for_each(|(at, item)| check(item, of, &format!("{path}[{at}]"))),
            Value::Array(items) => Err(Fault::value(
                path,
                match least == most {
                    true => format!("{path} has {} items; it must have {least}", items.len()),
                    false => format!(
                        "{path} has {} items; it must have at least {least}",
                        items.len()
                    ),
                },
            )),
            _ => must("a list, in brackets".into()),
        },
        Form::Layers => check(value, &Form::list(layers::form()), path),
        Form::Map(of) => match value {
            Value::Object(fields) => fields
                .iter()
                .try_for_each(|(name, value)| check(value, of, &below(path, name))),
            _ => must("a table".into()),
        },
        Form::Ranges(range) => match value {
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                let is_nested = value.as_object().is_some_and(super::ranges::is_nested);
                let form = if is_nested { form } else { range };
                check(value, form, &below(path, name))
            }),
            _ => must("a table".into()),
        },
        Form::Table(fields) => match value {
            Value::Object(given) => given
                .iter()
                .try_for_each(|(name, value)| field(name, value, fields, path)),
            _ => must("a table".into()),
        },
        Form::Named { key, kinds } => named(value, key, kinds, path),
        Form::Either(forms) => {
            let mut faults = Vec::new();
            for form in forms {
                match check(value, form, path) {
                    Ok(()) => return Ok(()),
                    Err(fault) => faults.push((form.resembles(value), fault)),
                }
            }
            // What is nearly of one form is told as that.
            let found = faults.iter().position(|(resembles, _)| *resembles);
            match found {
                Some(at) => Err(faults.swap_remove(at).1),
                None => {
                    let forms: Vec<String> = forms.iter().map(Form::in_words).collect();
                    must(forms.join(" or "))
                }
            }
        }
    }
}

/// A whole number, also one that is written as 3.0.
fn whole(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9e15;
    let number = value
        .as_f64()
        .filter(|x| x.fract() == 0.0 && (0.0..EXACT).contains(x));
    value.as_u64().or(number.map(|x| x as u64))
}

/// A table in which a name decides what else there may be.
fn named(
    value: &Value,
    key: &'static str,
    kinds: &[(&'static str, Vec<Field>)],
    path: &str,
) -> Result<(), Fault> {
    let Value::Object(given) = value else {
        return Err(Fault::value(
            path,
            format!("{path} is {}; it must be a table", shown(value)),
        ));
    };
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let Some(name) = given.get(key) else {
        // Which one it is has a default, and is not known here: what any of them takes may stand.
        let mut fields = vec![super::fields::field(key, Form::Text, "")];
        for field in kinds.iter().flat_map(|(_, fields)| fields) {
            if !fields.iter().any(|known| known.name == field.name) {
                fields.push(field.clone());
            }
        }
        return check(value, &Form::Table(fields), path);
    };
    let at = below(path, key);
    check(name, &Form::Choice(names), &at)?;
    let fields = kinds
        .iter()
        .find(|(kind, _)| name == kind)
        .map(|(_, fields)| fields);
    let Some(fields) = fields else { return Ok(()) };
    given
        .iter()
        .filter(|(field, _)| *field != key)
        .try_for_each(|(name, value)| field(name, value, fields, path))
}

fn field(name: &str, value: &Value, fields: &[Field], path: &str) -> Result<(), Fault> {
    match fields.iter().find(|field| field.name == name) {
        Some(field) => check(value, &field.form, &below(path, name)),
        None => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            Err(unknown(name, &names, path))
        }
    }
}

fn unknown(name: &str, names: &[&str], path: &str) -> Fault {
    let of = match path {
        "" => "recipes".to_string(),
        path => path.to_string(),
    };
    Fault {
        path: below(path, name),
        is_name: true,
        why: format!("there is no field {name:?} in {of}; {}", known(name, names)),
    }
}

/// What there is instead.
fn known(name: &str, names: &[&str]) -> String {
    match (nearest(name, names), names) {
        (Some(near), _) => format!("did you mean {near:?}?"),
        (None, []) => "it takes none".to_string(),
        (None, names) => format!("known are {}", names.join(", ")),
    }
}

/// The name that was most likely meant, if one is near enough.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let asked = plain(name);
    let distance = |known: &&&str| strsim::damerau_levenshtein(&plain(known), &asked);
    let near = names.iter().min_by_key(distance)?;
    (distance(&near) <= 1 + asked.chars().count() / 4).then_some(*near)
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_string(),
        path => format!("{path}.{name}"),
    }
}

fn range(least: f64, most: f64) -> String {
    match (least, most) {
        (f64::NEG_INFINITY, f64::INFINITY) => "a number".to_string(),
        (least, f64::INFINITY) => format!("a number from {least} on"),
        (least, most) => format!("a number from {least} to {most}"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".to_string(),
        Value::Array(_) => "a list".to_string(),
        value => value.to_string(),
    }
}

impl Form {
    /// Whether a value is of this form's sort, right or wrong.
    fn resembles(&self, value: &Value) -> bool {
        match self {
            Form::Flag => value.is_boolean(),
            Form::Whole { .. } => value.is_u64() || value.is_i64(),
            Form::Number { .. } | Form::Positive => value.is_number(),
            Form::Text | Form::Choice(_) => value.is_string(),
            Form::List { .. } | Form::Layers => value.is_array(),
            Form::Map(_) | Form::Table(_) | Form::Named { .. } | Form::Ranges(_) => {
                value.is_object()
            }
            Form::Either(forms) => forms.iter().any(|form| form.resembles(value)),
        }
    }

    pub(super) fn in_words(&self) -> String {
        match self {
            Form::Flag => "true or false".into(),
            Form::Whole { least, .. } => format!("a whole number from {least} on"),
            Form::Number { least, most } => range(*least, *most),
            Form::Positive => "a number above 0".into(),
            Form::Text => "a text".into(),
            Form::Choice(names) => format!("one of {}", names.join(", ")),
            Form::Layers => "a list of layers".into(),
            Form::List { of, .. } => format!("a list, each item {}", of.in_words()),
            Form::Map(_) | Form::Table(_) | Form::Named { .. } | Form::Ranges(_) => {
                "a table".into()
            }
            Form::Either(forms) => {
                let forms: Vec<String> = forms.iter().map(Form::in_words).collect();
                forms.join(" or ")
            }
        }
    }
}
