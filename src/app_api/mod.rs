//! The app API.

mod fields;
mod tokens;

pub use fields::ApiFields;
pub use tokens::{TokenError, Tokens};
