//! Backends that run a plan, and the loop that drains their tokens.
