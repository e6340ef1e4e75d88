//! The queue on a disk that fails: errors, no space, a loss of power, damaged files. Each time the
//! program itself runs, and what it answered 202 is held against what its listener gets in the end.
//!
//! `shim.c` stands between the program and the disk. It needs `cc`; one test makes a mount namespace.

mod clock;
mod damage;
mod errors;
mod load;
mod power;
mod shim;
mod space;
#[path = "../support/mod.rs"]
mod support;
