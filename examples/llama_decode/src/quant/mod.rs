//! Block formats of weights, and their exact values.
