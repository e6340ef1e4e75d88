//! Calls to listeners: envelope, headers, connections and the dispatcher of queued deliveries.

mod api_fields;
mod attempt;
mod balance;
mod connect;
pub mod dispatcher;
mod envelope;
mod headers;
pub mod http1;
mod inputs;
mod listener;
mod outcome;
mod outgoing_event;
mod pieces;
mod pool;
mod response;
mod subject;
pub mod trace;
pub mod transform;

pub use api_fields::ApiFields;
pub use attempt::{Attempt, AttemptContext, CallReport, attempt};
pub use connect::{Connector, ONE_OF_SEVERAL};
pub use envelope::{ApiField, RAW_QUERY, discard, preserve, preserve_rule};
pub use headers::{EVENT_ID, OPERATOR, QUERY, forward_query, passed_on, uuid_value};
pub use inputs::{accepted_at, headers_text, query_text};
pub use listener::{Call, Caller};
pub use outcome::{CallError, ConnectError, REFUSAL_BODY_BYTES, Refusal, outcome};
pub use outgoing_event::OutgoingEvent;
pub use pieces::Pieces;
pub use response::{KeptResponse, ListenerResponse, MAX_RESPONSE_BYTES, ResponseBody};
pub use subject::Subject;
pub use transform::{TransformError, Transformation};
