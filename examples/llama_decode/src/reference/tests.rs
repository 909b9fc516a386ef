use super::*;
use crate::made::{self, Mix, Shape};

fn small(name: &str) -> Shape {
    let shape = Shape::named(name).expect("a shape");
    Shape { layers: 3, vocab: 512, ..shape }
}

#[test]
fn many_tokens_at_once_are_the_same_as_one_by_one() {
    let mix = Mix::named("q6_k").expect("a mix");
    let file = made::in_memory(&small("qwen3-tiny"), mix, 2).expect("sound");
    let model = Model::new(&file).expect("a model");
    let tokens = [5, 80, 3, 3, 400, 17];
    let mut one_by_one = Reference::new(&model);
    let mut last = Vec::new();
    for token in tokens {
        last = one_by_one.read(&[token]).expect("room");
    }
    let mut halves = Reference::new(&model);
    halves.read(&tokens[..4]).expect("room");
    assert_eq!(last, halves.read(&tokens[4..]).expect("room"));
    assert_eq!(halves.position(), 6);
    halves.rewind(2);
    assert_eq!(halves.position(), 2);
    let two = halves.read_last(&tokens[2..], 2).expect("room");
    assert_eq!(two.len(), 2 * 512);
    assert_eq!(last, two[512..]);
    halves.rewind(4);
    assert_eq!(halves.read(&tokens[4..5]).expect("room"), two[..512]);

    let mut greedy = Reference::new(&model);
    let chosen = greedy.greedy(&tokens, 3).expect("room");
    let mut again = Reference::new(&model);
    let told = [&tokens[..], &chosen[..2]].concat();
    assert_eq!(again.greedy(&told, 1).expect("room"), chosen[2..]);
}

#[test]
fn tokens_that_do_not_exist_or_fit_are_refused() {
    let mix = Mix::named("q8_0").expect("a mix");
    let shape = Shape { context: 8, ..small("llama-tiny") };
    let file = made::in_memory(&shape, mix, 2).expect("sound");
    let model = Model::new(&file).expect("a model");
    let mut reference = Reference::new(&model);
    let refused = |r: &mut Reference<'_>, tokens: &[u32]| {
        r.read(tokens).expect_err("must be refused").to_string()
    };
    assert_eq!(refused(&mut reference, &[512]), "token 512 does not exist: the model has 512");
    assert!(refused(&mut reference, &[]).contains("no token"));
    assert!(refused(&mut reference, &[1; 9]).contains("context of 8"));
    reference.read(&[1; 8]).expect("room");
    assert!(refused(&mut reference, &[1]).contains("context of 8"));
}
