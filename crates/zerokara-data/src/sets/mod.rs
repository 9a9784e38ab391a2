//! Published data sets that are known by their names.

#[cfg(feature = "sets")]
mod cifar;
#[cfg(feature = "sets")]
mod emnist;
#[cfg(feature = "fetch")]
mod fetch;

#[cfg(feature = "fetch")]
pub use fetch::{Fetched, fetch_file};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
};
use std::{
    env,
    path::{Path, PathBuf},
};

/// A published data set.
///
/// Its files are looked for in a folder of its name: in `$ZEROKARA_DATA`, in the cache of the user
/// (`$XDG_CACHE_HOME/zerokara`, else `~/.cache/zerokara`), and where packages put them (`/usr/share/datasets`). With the feature
/// `fetch`, `NamedSet::fetch` gets them from where they are published.
///
/// ```
/// use zerokara_data::NamedSet;
///
/// let set = NamedSet::by_name("cifar-10").ok_or("no such set")?;
/// assert_eq!(set.classes()[5], "dog");
/// assert_eq!(set.bytes(), 170_052_171);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSet {
    name: &'static str,
    about: &'static str,
    form: Form,
    /// Where its files are published.
    from: &'static str,
    files: &'static [SetFile],
    /// Debian's package of them.
    package: Option<&'static str>,
}

/// A file of a data set, as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetFile {
    /// Its name, behind the address of the set.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its contents, in hexadecimal digits.
    pub sha256: &'static str,
}

/// How the files of a set are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Inside the program.
    Inside,
    /// Four IDX files of these classes.
    Idx(&'static [&'static str]),
    /// Binary batches of 32 x 32 pixels in colour, with 10 or 100 classes.
    Cifar(usize),
    /// A part of EMNIST, in an archive with IDX files.
    Emnist(&'static str),
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> SetFile {
    SetFile {
        name,
        bytes,
        sha256,
    }
}

const FASHION: &[SetFile] = &[
    file(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    file(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    file(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    file(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
];

const KMNIST: &[SetFile] = &[
    file(
        "train-images-idx3-ubyte.gz",
        18_165_135,
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ),
    file(
        "train-labels-idx1-ubyte.gz",
        29_497,
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ),
    file(
        "t10k-images-idx3-ubyte.gz",
        3_041_136,
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ),
    file(
        "t10k-labels-idx1-ubyte.gz",
        5_120,
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
];

const CLOTHES: &[&str] = &[
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

const HIRAGANA: &[&str] = &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

const CIFAR_10: &[SetFile] = &[file(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)];

const CIFAR_100: &[SetFile] = &[file(
    "cifar-100-binary.tar.gz",
    168_513_733,
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)];

const EMNIST: &[SetFile] = &[file(
    "gzip.zip",
    561_753_746,
    "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
)];

const EMNIST_FROM: &str = "https://biometrics.nist.gov/cs_links/EMNIST/";
const CIFAR_FROM: &str = "https://www.cs.toronto.edu/~kriz/";

const fn emnist(name: &'static str, part: &'static str, about: &'static str) -> NamedSet {
    NamedSet {
        name,
        about,
        form: Form::Emnist(part),
        from: EMNIST_FROM,
        files: EMNIST,
        package: None,
    }
}

/// All that are known.
const SETS: &[NamedSet] = &[
    NamedSet {
        name: "mnist",
        about: "70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges), inside the program",
        form: Form::Inside,
        from: "",
        files: &[],
        package: None,
    },
    NamedSet {
        name: "fashion-mnist",
        about: "70,000 pictures of ten kinds of clothing, in the shape of MNIST (Xiao, Rasul and Vollgraf, 2017)",
        form: Form::Idx(CLOTHES),
        from: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: FASHION,
        package: Some("dataset-fashion-mnist"),
    },
    NamedSet {
        name: "kmnist",
        about: "70,000 cursive hiragana of ten kinds, in the shape of MNIST (Clanuwat et al., 2018)",
        form: Form::Idx(HIRAGANA),
        from: "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        files: KMNIST,
        package: None,
    },
    emnist(
        "emnist-balanced",
        "balanced",
        "131,600 handwritten digits and letters of 47 classes (Cohen et al., 2017)",
    ),
    emnist(
        "emnist-letters",
        "letters",
        "145,600 handwritten letters, 26 classes (Cohen et al., 2017)",
    ),
    emnist(
        "emnist-digits",
        "digits",
        "280,000 handwritten digits (Cohen et al., 2017)",
    ),
    emnist(
        "emnist-byclass",
        "byclass",
        "814,255 handwritten digits and letters of 62 classes (Cohen et al., 2017)",
    ),
    emnist(
        "emnist-bymerge",
        "bymerge",
        "814,255 handwritten digits and letters of 47 classes (Cohen et al., 2017)",
    ),
    NamedSet {
        name: "cifar-10",
        about: "60,000 photographs of 32 x 32 pixels, ten classes (Krizhevsky, 2009)",
        form: Form::Cifar(10),
        from: CIFAR_FROM,
        files: CIFAR_10,
        package: None,
    },
    NamedSet {
        name: "cifar-100",
        about: "60,000 photographs of 32 x 32 pixels, a hundred classes (Krizhevsky, 2009)",
        form: Form::Cifar(100),
        from: CIFAR_FROM,
        files: CIFAR_100,
        package: None,
    },
];

impl NamedSet {
    /// All that are known.
    pub fn all() -> &'static [Self] {
        SETS
    }

    /// The set of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        SETS.iter().find(|set| set.name == name)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is, and of whom.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Its files, as they are published.
    pub fn files(&self) -> &'static [SetFile] {
        self.files
    }

    /// The address below which its files are published.
    pub fn address(&self) -> &'static str {
        self.from
    }

    /// The bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The names of its classes.
    pub fn classes(&self) -> Vec<String> {
        match self.form {
            Form::Inside => (0..10).map(|digit: u8| digit.to_string()).collect(),
            Form::Idx(classes) => own(classes),
            Form::Cifar(10) => own(&[
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ]),
            Form::Cifar(_) => CIFAR_100_CLASSES
                .split_whitespace()
                .map(str::to_string)
                .collect(),
            Form::Emnist(part) => signs(part).chars().map(String::from).collect(),
        }
    }

    /// The folder that its files are fetched into: of its name in `$ZEROKARA_DATA`, else in the user's cache. `None` where neither
    /// is known.
    pub fn folder(&self) -> Option<PathBuf> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let base = set("ZEROKARA_DATA").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
            Some(cache?.join("zerokara"))
        });
        // The parts of EMNIST are in one file.
        let folder = match self.form {
            Form::Emnist(_) => "emnist",
            _ => self.name,
        };
        Some(base?.join(folder))
    }

    /// The folders that may have its files.
    fn places(&self) -> Vec<PathBuf> {
        let packages = ["/usr/share/datasets", "/usr/local/share/datasets"];
        let packages = packages.map(|base| Path::new(base).join(self.name));
        self.folder().into_iter().chain(packages).collect()
    }

    /// Whether it is inside the program, or a folder has its files.
    pub fn is_here(&self) -> bool {
        match self.form {
            Form::Inside => cfg!(feature = "mnist"),
            _ => self.places().iter().any(|folder| self.is_in(folder)),
        }
    }

    /// The set, from the first folder that has its files.
    ///
    /// # Errors
    ///
    /// None has (the message says what to do), or they are damaged.
    pub fn load(&self) -> Result<Dataset> {
        if self.form == Form::Inside {
            return Dataset::by_name(self.name);
        }
        let found = self.places().into_iter().find(|folder| self.is_in(folder));
        match found {
            // Found by its name, wherever the machine has it.
            Some(folder) => Ok(Dataset {
                source: None,
                ..self.from_folder(folder)?
            }),
            None => Err(Error::new(self.how_to_get())),
        }
    }

    /// What to do where the set is not on the machine.
    fn how_to_get(&self) -> String {
        let place = match self.folder() {
            Some(folder) => folder.display().to_string(),
            None => "a folder".into(),
        };
        let files: Vec<&str> = self.files.iter().map(|file| file.name).collect();
        let package = (self.package).map_or(String::new(), |package| {
            format!("; on Debian and Ubuntu, `apt install {package}` does")
        });
        format!(
            "{name} is not on this machine. `zerokara data {name} --fetch` fetches it ({megabytes} MB){package}; or put {files} of \
             {from} into {place}",
            name = self.name,
            megabytes = self.bytes().div_ceil(1_000_000),
            files = files.join(", "),
            from = self.from
        )
    }

    /// Whether this folder has its files.
    fn is_in(&self, folder: &Path) -> bool {
        match self.form {
            Form::Inside => false,
            // A fetch that was cut off leaves some of them.
            Form::Idx(_) => crate::dataset::has_idx_files(folder),
            #[cfg(feature = "sets")]
            Form::Cifar(classes) => cifar::is_in(folder, classes),
            #[cfg(feature = "sets")]
            Form::Emnist(part) => emnist::is_in(folder, part),
            #[cfg(not(feature = "sets"))]
            Form::Cifar(_) | Form::Emnist(_) => self
                .files
                .iter()
                .any(|file| folder.join(file.name).exists()),
        }
    }

    /// Reads its files from this folder, as they are published, or unpacked.
    ///
    /// # Errors
    ///
    /// A file is missing or damaged, or has labels that the set does not have.
    pub fn from_folder(&self, folder: impl AsRef<Path>) -> Result<Dataset> {
        let folder = folder.as_ref();
        let [train, test] = match self.form {
            Form::Inside => return Dataset::by_name(self.name),
            Form::Idx(_) => {
                let found = Dataset::from_idx_folder(folder)?;
                [found.train, found.test]
            }
            #[cfg(feature = "sets")]
            Form::Cifar(classes) => cifar::read(folder, classes)?,
            #[cfg(feature = "sets")]
            Form::Emnist(part) => emnist::read(folder, part)?,
            #[cfg(not(feature = "sets"))]
            Form::Cifar(_) | Form::Emnist(_) => {
                return Err(Error::file(
                    folder,
                    format_args!("{} is read with the feature `sets`", self.name),
                ));
            }
        };
        Ok(Dataset {
            source: folder.canonicalize().ok(),
            ..Dataset::new(self.name, train, test, self.classes())?
        })
    }

    /// The set whose files lie in this folder, if they are in a form of their own, such as the batches of CIFAR.
    pub(crate) fn recognized(folder: &Path) -> Option<&'static Self> {
        let own_form = |set: &&Self| matches!(set.form, Form::Cifar(_));
        SETS.iter().filter(own_form).find(|set| set.is_in(folder))
    }
}

fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The classes of a part of EMNIST, in their order.
fn signs(part: &str) -> &'static str {
    match part {
        "letters" => "abcdefghijklmnopqrstuvwxyz",
        "digits" => "0123456789",
        "byclass" => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        // Small letters that look like large ones are one class with these.
        _ => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt",
    }
}

const CIFAR_100_CLASSES: &str = "\
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar cattle
chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_its_classes_and_whole_checksums() {
        let counts = [10, 10, 10, 47, 26, 10, 62, 47, 10, 100];
        for (set, count) in SETS.iter().zip(counts) {
            let mut classes = set.classes();
            assert_eq!(classes.len(), count, "{}", set.name);
            classes.sort();
            classes.dedup();
            assert_eq!(classes.len(), count, "{}", set.name);
            for file in set.files {
                let hexadecimal = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(hexadecimal));
            }
        }
    }
}
