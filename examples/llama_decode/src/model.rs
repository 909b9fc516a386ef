//! What a file's model is: its shape and its named tensors.
