//! File blocks laid out as the kernels load them.
