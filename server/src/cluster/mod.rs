//! This server among the others.

pub mod directory;
