//! `zerokara new`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use zerokara_data::Dataset;
use zerokara_train::{Recipe, language::Words, report::numbers::thousands};

/// Look at data and write a recipe for training on them.
///
/// A recipe is a TOML file with all that a run is to do, each line with what it means: change what you like, then
/// `zerokara train recipe.toml`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// mnist, fashion-mnist, or data of your own: a table (CSV, TSV), a text, a folder of pictures by class, a list of pictures, a
    /// folder with IDX files
    #[arg(required_unless_present = "schema")]
    data: Option<OsString>,
    /// The recipe's file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "recipe.toml", value_parser = options::file_of("toml"))]
    output: PathBuf,
    /// Set a field of the recipe, such as data.target=price; again for another
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The column of a table that is to be learned [default: one named label or the like, else the last]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Overwrite a recipe that is there
    #[arg(long)]
    force: bool,
    /// Print the JSON schema of recipes, by which editors complete and check them
    #[arg(long, conflicts_with = "data")]
    schema: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara new photos                        recipe.toml for a folder of pictures
  zerokara new houses.csv --target price     for a table, to learn prices
  zerokara new shakespeare.txt               for a language model of a text's characters
  zerokara new mnist --output -              on standard output
  zerokara new --schema > recipe.schema.json for editors";

/// From so many samples on, some are held back to choose the best epoch by.
const ENOUGH: usize = 1_000;
/// Their share, and the most samples that are needed to tell epochs apart.
const HELD_BACK: f64 = 0.1;
const MOST_HELD_BACK: usize = 2_500;

pub fn run(options: &Options, words: Words) -> Outcome {
    if options.schema {
        return output::print(&format!("{:#}", Recipe::schema()));
    }
    let Some(asked) = &options.data else {
        return Err(Failure::new("name the data that the recipe is for"));
    };
    if !options.force && options.output.exists() && !output::is_stream(&options.output) {
        return Err(Failure::new(format!(
            "{} is there already; --force overwrites it, --output names another file",
            options.output.display()
        )));
    }
    let mut recipe = options::asked(asked, &options.set, options.target.as_deref())?;
    let data = options::load(&recipe.data()?, false, words)?;
    if data.validation.is_empty() && data.train.len() >= ENOUGH && !recipe.says("validation") {
        let share = (data.train.len() as f64 * HELD_BACK) as usize;
        let held_back: serde_json::Value = match share > MOST_HELD_BACK {
            true => MOST_HELD_BACK.into(),
            false => HELD_BACK.into(),
        };
        recipe.set_value("validation", held_back, "--validation")?;
    }
    let mut run = recipe.description(&data)?;
    // What training learns of the data it learns anew.
    run.task.settings.retain(|name, _| {
        !["mean", "std"].contains(&name.as_str()) || recipe.says(&format!("loss.{name}"))
    });
    // Paths of a recipe begin at its folder.
    let beside = options
        .output
        .parent()
        .is_none_or(|folder| folder == Path::new(""));
    if let Some(path) = run.data.path.as_mut().filter(|_| !beside)
        && let Ok(whole) = Path::new(&*path).canonicalize()
    {
        *path = whole.to_string_lossy().into_owned();
    }
    let text = Recipe::written(&run, &about(&data, options))?;
    output::file(&options.output, text)?;
    if !output::is_stream(&options.output) {
        output::note(&words.fill("recipe  {}", &[&options.output.display()]));
        output::note(&words.fill("next    zerokara train {}", &[&options.output.display()]));
    }
    Ok(())
}

/// What stands at the beginning of the recipe.
fn about(data: &Dataset, options: &Options) -> Vec<String> {
    let mut about = vec![
        format!(
            "A recipe for {}: zerokara train {}",
            data.name,
            match output::is_stream(&options.output) {
                true => "recipe.toml".to_string(),
                false => options.output.display().to_string(),
            }
        ),
        "Each field may be changed, here or by --set; what is not said has a default that suits the data.".into(),
        format!(
            "{} samples to train on, {} to judge by.",
            thousands((data.train.len() + data.validation.len()) as u64),
            thousands(data.test.len() as u64)
        ),
    ];
    about.extend(data.notes.iter().map(|note| format!("- {note}")));
    about
}
