//! `zerokara data`

mod page;
mod sets;

use crate::{
    options,
    output::{self, Outcome},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};
use zerokara_data::{Augment, Contents, Dataset, Preprocessing, Split};
use zerokara_train::{
    language::Words,
    report::{
        numbers::{significant, thousands},
        terminal::{Align, cut, line},
    },
};

/// Look at data and say what was understood: columns and what they hold, classes and how often each comes, sizes, samples that are
/// in two parts.
///
/// The data are read as `zerokara train` reads them; with a recipe, as the recipe says.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A published data set by its name, data of your own (a table, a text, a folder or list of pictures, a folder with IDX files),
    /// or a recipe; without it, the published data sets are listed
    data: Option<OsString>,
    /// Fetch a published data set into the cache, if it is not on this machine
    #[arg(long, requires = "data")]
    fetch: bool,
    /// Fetch it from a mirror: the address of a folder with its files
    #[arg(long, value_name = "URL", requires = "fetch")]
    from: Option<String>,
    /// Set a field of the recipe, such as data.target=price; again for another
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The column of a table that is to be learned [default: one named label or the like, else the last]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Write a page with what was understood, and pictures of each class
    #[arg(long, value_name = "FILE", value_parser = options::file_of("html"))]
    page: Option<PathBuf>,
    /// Draw how training pictures are changed by chance: as the recipe says, or by all changes
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "augment.svg", value_parser = options::file_of("svg"))]
    augment: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara data                                    published data sets, and which are here
  zerokara data cifar-10 --fetch                   fetch one of them, and look at it
  zerokara data flowers.csv --target species
  zerokara data photos --page photos.html          with a picture of each class
  zerokara data recipe.toml --augment              what augmentation does, as augment.svg";

/// Classes that are listed.
const CLASSES: usize = 30;
/// Columns of the terminal that a text may take.
const WIDE: usize = 40;

/// What was understood.
struct Understood {
    data: Dataset,
    /// Samples of the test part, and of the validation part, that are in the training part too.
    twice: [usize; 2],
}

pub fn run(options: &Options, words: Words) -> Outcome {
    let Some(asked) = &options.data else {
        return sets::list(options.json, words);
    };
    if options.fetch {
        sets::fetch(asked, options.from.as_deref(), words)?;
    }
    let mut recipe = options::asked(asked, &options.set, options.target.as_deref())?;
    if !recipe.says("data.skip_unreadable") {
        // They are named, and do not hide the others.
        recipe.set_value("data.skip_unreadable", true, "data")?;
    }
    let data = options::load(&recipe.data()?, options.json, words)?;
    let understood = Understood {
        twice: [
            twice(&data.train, &data.test),
            twice(&data.train, &data.validation),
        ],
        data,
    };
    match options.json {
        true => output::print(&understood.json().to_string())?,
        false => output::print(understood.told(words).trim_end())?,
    }
    if let Some(path) = &options.page {
        output::file(path, page::page(&understood, words))?;
        output::note(&words.fill("page    {}", &[&path.display()]));
    }
    if let Some(path) = &options.augment {
        let own = recipe.description(&understood.data)?.augment;
        let augment = match own.filter(|_| recipe.says("augment")) {
            Some(augment) => augment,
            None => everything(understood.data.shape())?,
        };
        output::file(
            path,
            page::changed(&understood.data, &augment, words)?.file(),
        )?;
        output::note(&words.fill("picture {}", &[&path.display()]));
        output::note(&words.fill("changes: {}", &[&augment]));
    }
    Ok(())
}

/// All changes, each a little.
fn everything(shape: &[usize]) -> Outcome<Augment> {
    let augment = Augment::new(0)
        .flip()
        .rotate(10.0)?
        .crop(0.7)?
        .erase(0.3, 0.1)?;
    Ok(match shape {
        [3, ..] => augment.colour(0.3)?,
        _ => augment,
    })
}

/// How many samples of a part have the same inputs as one that is trained on.
fn twice(train: &Split, part: &Split) -> usize {
    if part.is_empty() || !train.is_in_memory() {
        return 0;
    }
    let known = |split: &Split, at: usize| {
        let mut hash = DefaultHasher::new();
        match split.bytes(at) {
            Some(bytes) => bytes.hash(&mut hash),
            None => (split.sample(at).iter()).for_each(|value| value.to_bits().hash(&mut hash)),
        }
        hash.finish()
    };
    let mut there: HashMap<u64, Vec<usize>> = HashMap::new();
    for at in 0..train.len() {
        there.entry(known(train, at)).or_default().push(at);
    }
    let is_there = |&at: &usize| {
        let alike = there.get(&known(part, at));
        // Unlike samples may have one hash.
        alike.is_some_and(|all| {
            all.iter()
                .any(|&other| train.sample(other) == part.sample(at))
        })
    };
    (0..part.len()).filter(is_there).count()
}

impl Understood {
    fn parts(&self) -> [(&'static str, &Split); 3] {
        [
            ("training", &self.data.train),
            ("validation", &self.data.validation),
            ("test", &self.data.test),
        ]
    }

    /// How often each class comes in each part.
    fn counts(&self) -> Vec<(String, [usize; 3])> {
        let names = &self.data.class_names;
        let [train, validation, test] = self
            .parts()
            .map(|(_, split)| split.class_counts(names.len()));
        let of = |class| [train[class], validation[class], test[class]];
        let named = names.iter().enumerate();
        named
            .map(|(class, name)| (name.clone(), of(class)))
            .collect()
    }

    /// The parts that have samples: name, and how many of what.
    fn sizes(&self, words: Words) -> Vec<(String, String)> {
        let told = match self.data.shape().len() {
            3 => "{} images {}",
            _ => "{} samples {}",
        };
        let shape = format!("{:?}", self.data.shape());
        let there = self
            .parts()
            .into_iter()
            .filter(|(_, split)| !split.is_empty());
        there
            .map(|(name, split)| {
                let size = words.fill(told, &[&thousands(split.len() as u64), &shape]);
                (words.say(name), size)
            })
            .collect()
    }

    /// The column of a table that is learned.
    fn target(&self) -> Option<String> {
        let targets = self.data.train.target_ports();
        let is_table = !self.data.contents.is_empty();
        targets
            .first()
            .filter(|_| is_table)
            .map(|port| port.name.to_string())
    }

    /// Each column of a table, and what is done with it.
    fn columns(&self) -> Vec<(&Contents, &'static str)> {
        let target = self.target();
        let table = match self.data.preprocessing_of("x") {
            Some(Preprocessing::Table(table)) => Some(table),
            _ => None,
        };
        let inputs: Vec<&str> = table.iter().flat_map(|table| table.columns()).collect();
        let using = |column: &Contents| match target.as_deref() {
            Some(target) if target == column.name => "target",
            _ if inputs.contains(&column.name.as_str()) => "input",
            _ => "left out",
        };
        self.data
            .contents
            .iter()
            .map(|column| (column, using(column)))
            .collect()
    }

    fn told(&self, words: Words) -> String {
        let mut text = String::new();
        for (name, size) in self.sizes(words) {
            text += &format!("{name:<12}{size}\n");
        }
        for (count, part) in self
            .twice
            .iter()
            .zip(["test", "validation"])
            .filter(|(count, _)| **count > 0)
        {
            let told = words.fill(
                "in the training and the {} part alike: {}; what is measured on them says too much",
                &[&words.say(part), &thousands(*count as u64)],
            );
            text += &format!("{told}\n");
        }
        if !self.data.contents.is_empty() {
            text += "\n";
            text += &self.table_of_columns(words);
        }
        let counts = self.counts();
        if !counts.is_empty() {
            text += "\n";
            text += &classes(&counts, words);
        }
        text
    }

    fn table_of_columns(&self, words: Words) -> String {
        let rows: Vec<Vec<String>> = self
            .columns()
            .into_iter()
            .map(|(column, using)| {
                vec![
                    cut(&line(&column.name), WIDE).into_owned(),
                    words.say(column.content.name()),
                    words.say(using),
                    thousands(column.distinct as u64),
                    thousands(column.missing as u64),
                    cut(&values(column), WIDE).into_owned(),
                ]
            })
            .collect();
        let columns = [
            ("column", Align::Left),
            ("holds", Align::Left),
            ("used as", Align::Left),
            ("different", Align::Right),
            ("missing", Align::Right),
            ("values", Align::Left),
        ];
        output::table(&columns, &rows, words)
    }

    fn json(&self) -> Value {
        let parts = self
            .parts()
            .map(|(name, split)| (name.to_string(), split.len().into()));
        let columns = self.columns().into_iter().map(|(column, using)| {
            json!({
                "name": column.name,
                "holds": column.content.name(),
                "use": using,
                "different": column.distinct,
                "missing": column.missing,
                "range": column.range.map(|(low, high)| json!([low, high])),
            })
        });
        let classes = self.counts().into_iter().map(|(name, [train, validation, test])| {
            json!({ "name": name, "training": train, "validation": validation, "test": test })
        });
        json!({
            "dataset": self.data.name,
            "shape": self.data.shape(),
            "samples": Value::Object(parts.into_iter().collect()),
            "target": self.target(),
            "columns": columns.collect::<Vec<_>>(),
            "classes": classes.collect::<Vec<_>>(),
            "in_test_and_training": self.twice[0],
            "in_validation_and_training": self.twice[1],
            "notes": self.data.notes,
        })
    }
}

/// The range of numbers, or the commonest values.
fn values(column: &Contents) -> String {
    match column.range {
        Some((low, high)) => format!("{} .. {}", significant(low, 4), significant(high, 4)),
        None => {
            let common: Vec<String> = column
                .common
                .iter()
                .take(3)
                .map(|(value, _)| line(value))
                .collect();
            let more = if column.distinct > common.len() {
                ", .."
            } else {
                ""
            };
            common.join(", ") + more
        }
    }
}

fn classes(counts: &[(String, [usize; 3])], words: Words) -> String {
    let row = |(name, counts): &(String, [usize; 3])| {
        let counts = counts.iter().map(|&count| thousands(count as u64));
        std::iter::once(cut(&line(name), WIDE).into_owned())
            .chain(counts)
            .collect()
    };
    let rows: Vec<Vec<String>> = counts.iter().take(CLASSES).map(row).collect();
    let columns = [
        ("class", Align::Left),
        ("training", Align::Right),
        ("validation", Align::Right),
        ("test", Align::Right),
    ];
    let table = output::table(&columns, &rows, words);
    match counts.len().saturating_sub(CLASSES) {
        0 => table,
        more => table + &words.fill("and {} more", &[&thousands(more as u64)]) + "\n",
    }
}
