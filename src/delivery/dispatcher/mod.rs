//! The dispatcher: what is due in the store is carried to listeners, app by app.

mod health;
mod schedule;
