//! The `llama_decode` command.

fn main() {
    println!("usage: llama_decode [MODEL.gguf] [PROMPT]");
}
