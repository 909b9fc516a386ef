//! Chats laid out as the model was trained to see them.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};

use super::{Tokenizer, python};
use crate::error::{Error, Result};
use crate::gguf::Gguf;

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What a model's family uses when a file brings no template along: Llama 3.
const LLAMA3: &str = "{{ bos_token }}{% for message in messages %}\
<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content | trim }}<|eot_id|>\
{% endfor %}{% if add_generation_prompt %}\
<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

/// Qwen3: what an answer's author thought is not told again, and thinking is cut short by an empty
/// thought.
const QWEN3: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
{% if message.role == 'assistant' %}{{ message.content.split('</think>')[-1].lstrip('\\n') }}\
{% else %}{{ message.content }}{% endif %}<|im_end|>\n\
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n\
{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}\
{% endif %}";

/// Steps that rendering may take. A chat of a thousand turns takes a hundredth of it.
const FUEL: u64 = 20_000_000;

/// How a model wants its chats.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// The file's own template, or its family's; none if the model knows no chats.
    pub fn new(file: &Gguf, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>> {
        let has = |name: &str| {
            let token = tokenizer.encode_part(name, super::Specials::Parse);
            token.is_ok_and(|tokens| tokens.len() == 1 && tokenizer.is_control(tokens[0]))
        };
        let source = match file.find::<&str>("tokenizer.chat_template")? {
            Some(source) => source,
            None if has("<|start_header_id|>") && has("<|eot_id|>") => LLAMA3,
            None if has("<|im_start|>") && has("<|im_end|>") => QWEN3,
            None => return Ok(None),
        };
        let bos = tokenizer.name(tokenizer.bos());
        let eos = tokenizer.name(tokenizer.ends().first().copied());
        ChatTemplate::from_source(source, bos, eos).map(Some)
    }

    fn from_source(source: &str, bos: String, eos: String) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        // As the program that templates are written for sets them.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(wrong)?);
        environment.set_fuel(Some(FUEL));
        python::teach(&mut environment);
        let template =
            ChatTemplate { environment, source: python::without_marks(source), bos, eos };
        template.environment.template_from_str(&template.source).map_err(wrong)?;
        Ok(template)
    }

    /// The text of a chat up to where the answer begins, to be encoded with special tokens parsed.
    /// `thinking` is for models that can be told not to.
    pub fn render(&self, messages: &[Message], thinking: bool) -> Result<String> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|m| context! { role => m.role.as_str(), content => m.content.as_str() })
            .collect();
        let context = context! {
            messages,
            // There is neither, and templates ask in this way.
            tools => (),
            documents => (),
            add_generation_prompt => true,
            enable_thinking => thinking,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let template = self.environment.template_from_str(&self.source).map_err(wrong)?;
        template.render(context).map_err(wrong)
    }
}

fn wrong(error: minijinja::Error) -> Error {
    let line = error.line().map_or(String::new(), |line| format!(", line {line}"));
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::Text(format!("the model's chat template does not work{line}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::from_source(source, "<s>".into(), "</s>".into()).expect("parses")
    }

    fn render(source: &str) -> String {
        template(source).render(&chat(), true).expect("renders")
    }

    fn chat() -> Vec<Message> {
        let turn =
            |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        vec![
            turn("system", " Be brief. "),
            turn("user", "Hello!"),
            turn("assistant", "<think>\nhm\n</think>\n\nHi."),
            turn("user", "Bye \"you\" <&>"),
        ]
    }

    #[test]
    fn the_families_own_layouts() {
        assert_eq!(
            render(LLAMA3),
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nHello!<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nHi.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nBye \"you\" <&><|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n"
        );
        let qwen = "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n\
             <|im_start|>assistant\nHi.<|im_end|>\n\
             <|im_start|>user\nBye \"you\" <&><|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(render(QWEN3), qwen);
        let silent = template(QWEN3).render(&chat(), false).expect("renders");
        assert_eq!(silent, format!("{qwen}<think>\n\n</think>\n\n"));
    }

    /// What templates of both families are made of, each used once.
    #[test]
    fn what_real_templates_use() {
        let cases = [
            ("{{ messages[0]['content'].strip() }}", "Be brief."),
            ("{{ messages[1].content.startswith('He') }}", "True"),
            ("{{ messages[1:][0].content.rstrip('!') }}", "Hello"),
            ("{{ messages[::-1][0].role }}{{ messages[-1].role.upper() }}", "userUSER"),
            (
                "{{ messages[2].content.split('</think>')[0].split('<think>')[-1].strip('\\n') }}",
                "hm",
            ),
            (
                "{% for m in messages %}{% if loop.index0 == 1 %}{% continue %}{% endif %}{{ m.role[0] }}{% endfor %}",
                "sau",
            ),
            (
                "{% for m in messages %}{{ loop.index }}{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}",
                "12",
            ),
            (
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + loop.length %}{% endfor %}{{ ns.n }}",
                "16",
            ),
            (
                "{{ tools is defined }} {{ tools is none }} {{ messages[0].tool_calls is defined }} {{ 'x' if tools else 'y' }}",
                "True True False y",
            ),
            ("{{ (messages[0].content is string) and messages is iterable }}", "True"),
            (
                "{{ tools is iterable and tools | length > 0 }} {{ nothing is iterable }}",
                "False True",
            ),
            (
                "{{ 'a' is sequence }} {{ {} is sequence }} {{ none is sequence }} {{ 1 is iterable }}",
                "True True False False",
            ),
            (
                "{{ 'user' in messages[1].role }} {{ messages | length }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }}",
                "True 4 2",
            ),
            (
                "{%- macro line(m) -%}\n  [{{ m.role }}]\n{%- endmacro -%}\n{{ line(messages[0]) }}",
                "[system]",
            ),
            ("{{ bos_token + 'a' ~ eos_token }}", "<s>a</s>"),
            (
                "{% set a = 1 -%}\n {%- generation -%}\n x{% set a = 2 %}{{ a }} {%+ endgeneration %}{{ a }}",
                "x2 1",
            ),
            ("{% set generation_is = '{%' %}{{ generation_is }} generation", "{% generation"),
            ("{% if add_generation_prompt %}\n  yes\n{% endif %}\n", "  yes\n"),
            ("{{ messages[3] | tojson }}", r#"{"role": "user", "content": "Bye \"you\" <&>"}"#),
            ("{{ [1, none, true, 'ä'] | tojson }}", r#"[1, null, true, "ä"]"#),
            ("{{ {'a': [1]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1\n  ]\n}"),
            ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ];
        for (source, expected) in cases {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn a_template_can_tell_the_date_and_refuse() {
        let before = jiff::Zoned::now().date();
        let told = render("{{ strftime_now('%Y-%m-%d') }}");
        assert!([before, jiff::Zoned::now().date()].map(|day| day.to_string()).contains(&told));

        let refuse = |source: &str| {
            let template = ChatTemplate::from_source(source, String::new(), String::new());
            let rendered = template.and_then(|t| t.render(&chat(), true));
            rendered.expect_err("must be refused").to_string()
        };
        let told = refuse("\n{{ raise_exception('roles must alternate') }}");
        assert!(told.ends_with("does not work, line 2: roles must alternate"), "{told}");
        assert!(refuse("{{ strftime_now('%') }}").contains("does not work"));
        assert!(refuse("{% if %}").contains("does not work, line 1"));
        assert!(refuse("{{ messages.nothing.more }}").contains("does not work"));
        let forever =
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(refuse(forever).contains("fuel"), "{}", refuse(forever));
    }
}
