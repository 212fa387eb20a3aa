//! Test doubles: decorators of a store, and mocks of the ports.
//!
//! - [`Faulty`] records every port call, and fails or stalls the n-th one.
//! - [`Strict`] panics if its caller breaks the protocol of a removal.
//! - [`Intercepted`] runs your own [`Interceptor`] before and after every port call.
//! - [`mocks`] has [mockall] mocks.

mod faulty;
mod intercept;
pub mod mocks;
mod strict;

pub use faulty::{Fault, FaultPlan, Faulty, Gate};
pub use intercept::{Intercepted, InterceptedTransaction, Interceptor, PortCall, Returned};
pub use strict::{Protocol, ProtocolState, Strict};
