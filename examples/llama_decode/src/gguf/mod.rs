//! A GGUF file, mapped and checked: keys and tensors.
