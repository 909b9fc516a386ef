//! The rules of the driver, one test each.
