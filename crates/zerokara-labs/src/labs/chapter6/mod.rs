//! Chapter 6: techniques of learning.
