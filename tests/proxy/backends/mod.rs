//! What becomes of an event when the application behind us is not well, or not nearby.

mod answers;
mod failing;
mod health_checks;
mod limits;
mod pool;
mod several;
mod ways;
