//! The software Orin.
