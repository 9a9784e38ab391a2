//! Fields that are attributes: an operation names them once, and by that it is read from attributes and told as such.

use crate::{Attributes, DType, op::Padding};

/// The type of a field that is an attribute, or a group of fields that are.
pub trait Field: Sized {
    /// The value of the attribute of this name.
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String>;

    /// These attributes, and the value under this name.
    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes;
}

macro_rules! field {
    ($($type:ty: $method:ident;)*) => {$(
        impl Field for $type {
            fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
                attributes.$method(name)
            }

            fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
                attributes.with(name, *self)
            }
        }
    )*};
}
field! {
    bool: bool;
    f64: float;
    i64: int;
    usize: size;
    [usize; 2]: pair;
    DType: dtype;
    Padding: padding;
}

impl Field for String {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        Ok(attributes.text(name)?.to_string())
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        attributes.with(name, self.as_str())
    }
}

impl Field for Vec<i64> {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        Ok(attributes.ints(name)?.to_vec())
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        attributes.with(name, self.as_slice())
    }
}

impl Field for Vec<usize> {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        attributes.sizes(name)
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        attributes.with(name, self.as_slice())
    }
}

/// Lists of a fixed length.
macro_rules! sizes {
    ($($length:literal: $what:literal;)*) => {$(
        impl Field for [usize; $length] {
            fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
                let sizes = attributes.sizes(name)?.try_into();
                sizes.map_err(|_| format!(concat!("attribute {} must hold ", $what), name))
            }

            fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
                attributes.with(name, self.as_slice())
            }
        }
    )*};
}
sizes! {
    3: "three integers";
    4: "[N, C, H, W]";
    6: "six integers";
}

/// A list without elements is written as one of integers: files do not tell what it has none of.
impl Field for Vec<f64> {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        Ok(attributes.floats(name)?.into_owned())
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        match self.is_empty() {
            true => attributes.with(name, [0i64; 0].as_slice()),
            false => attributes.with(name, self.clone()),
        }
    }
}

/// A key: the integer of the same bits.
impl Field for u64 {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        Ok(attributes.int(name)? as u64)
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        attributes.with(name, *self as i64)
    }
}

/// An attribute that may be absent.
impl<T: Field> Field for Option<T> {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        let present = attributes.has(name).then(|| T::read(attributes, name));
        present.transpose()
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        match self {
            Some(value) => value.write(attributes, name),
            None => attributes,
        }
    }
}

/// A choice that is an attribute: an enum whose variants are known by words.
///
/// ```text
/// words!(
///     /// What is taken.
///     Mode: "mode" {
///         /// The nearest.
///         Nearest = "nearest",
///     }
/// );
/// ```
macro_rules! words {
    ($(#[$docs:meta])* $type:ident: $what:literal { $($(#[$variant_docs:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$variant_docs])* $variant),+
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word by which it is known in files.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The one of this word.
            ///
            /// # Errors
            /// If there is none.
            pub fn by_word(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!(concat!("there is no ", $what, " {}; there are {}"), word, [$($word),+].join(", "))),
                }
            }
        }

        impl $crate::ops::fields::Field for $type {
            fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
                Self::by_word(attributes.text(name)?)
            }

            fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
                attributes.with(name, self.word())
            }
        }
    };
}

/// Says which fields of a struct are its attributes, under their own names and in this order: `attributes!(Gather: axis)` gives
/// it `from_attributes` and `as_attributes`. What it needs beside them is told to the first:
/// `attributes!(MaxPool2d: options; beside role: Role)`.
///
/// Fields that operations share are a group, `attributes!(group PoolOptions: kernel, stride, padding)`: a field of that type
/// stands for all of them.
macro_rules! attributes {
    (group $type:ident: $($field:ident),+) => {
        $crate::ops::fields::attributes!($type: $($field),+);

        impl $crate::ops::fields::Field for $type {
            fn read(attributes: &Attributes, _: &str) -> Result<Self, String> {
                Self::from_attributes(attributes)
            }

            fn write(&self, attributes: Attributes, _: &'static str) -> Attributes {
                attributes.and(self.as_attributes())
            }
        }
    };
    ($type:ident: $($field:ident),+ $(; beside $own:ident: $owns:ty)?) => {
        impl $type {
            /// From its attributes.
            pub(crate) fn from_attributes($($own: $owns,)? attributes: &Attributes) -> Result<Self, String> {
                use $crate::ops::fields::Field;
                Ok(Self {
                    $($own,)?
                    $($field: Field::read(attributes, stringify!($field))?),+
                })
            }

            /// Its attributes.
            pub(crate) fn as_attributes(&self) -> Attributes {
                use $crate::ops::fields::Field;
                let attributes = Attributes::none();
                $(let attributes = self.$field.write(attributes, stringify!($field));)+
                attributes
            }
        }
    };
}

pub(crate) use {attributes, words};
