//! Beyond the book.
