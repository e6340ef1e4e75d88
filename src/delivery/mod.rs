//! Calls to listeners: envelope, headers, connections and the dispatcher of queued deliveries.

mod api_fields;
mod balance;
mod connect;
pub mod dispatcher;
mod envelope;
mod headers;
mod listener;
mod outcome;
mod pieces;
mod pool;
mod subject;
pub mod trace;

pub use api_fields::ApiFields;
pub use connect::{Connector, ONE_OF_SEVERAL};
pub use envelope::{ApiField, body};
pub use headers::{Attempt, EVENT_ID, OPERATOR, listener_headers, passed_on, uuid_value};
pub use listener::Caller;
pub use outcome::{CallError, ConnectError, REFUSAL_BODY_BYTES, Refusal, outcome};
pub use pieces::Pieces;
pub use subject::Subject;
