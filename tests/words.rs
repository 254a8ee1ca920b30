//! Checks that the pages are easy to read: few long sentences, none over forty words, and no endless page.

use rotation_tests::pages::{files, lines, nothing, read, shown};

/// A sentence with more words than this is long.
const LONG: usize = 25;

/// No sentence has more words than this.
const LONGEST: usize = 40;

/// How many of a hundred sentences may be long.
const LONG_OF_A_HUNDRED: usize = 8;

/// No page has more lines than this.
const LINES: usize = 300;

/// The front page has fewer lines than this.
const LINES_OF_THE_FRONT_PAGE: usize = 200;

/// The paragraphs and list items of a page, each as one text. Headings, tables, code blocks, pictures and HTML comments are left out.
fn paragraphs(page: &str) -> Vec<String> {
    let (mut paragraphs, mut open) = (Vec::new(), false);
    for (fence, line) in lines(page) {
        let line = line.trim().trim_start_matches("> ");
        let item = list_item(line);
        let prose =
            fence.is_none() && !line.is_empty() && !line.starts_with(['#', '|']) && !line.starts_with("![");
        if !prose || line == ">" || line.starts_with("<!--") {
            open = false;
            continue;
        }
        if !open || item.is_some() {
            paragraphs.push(String::new());
        }
        let paragraph = paragraphs.last_mut().expect("one was just pushed or is open");
        paragraph.push_str(item.unwrap_or(line));
        paragraph.push(' ');
        open = true;
    }
    paragraphs
}

/// The text after the bullet or number of a list item, if the line begins one.
fn list_item(line: &str) -> Option<&str> {
    let bullet = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
    bullet.or_else(|| {
        let (number, text) = line.split_once(". ")?;
        (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit())).then_some(text)
    })
}

/// The sentences of a text. A sentence ends with a word that ends in `.`, `:`, `!` or `?`, but not inside code.
fn sentences(text: &str) -> Vec<String> {
    let (mut sentences, mut words, mut code) = (Vec::new(), Vec::new(), false);
    for word in text.split_whitespace() {
        words.push(word);
        code ^= word.matches('`').count() % 2 == 1;
        if !code && word.trim_end_matches(['*', '_', ')', ']', '"']).ends_with(['.', ':', '!', '?']) {
            sentences.push(words.join(" "));
            words.clear();
        }
    }
    if !words.is_empty() {
        sentences.push(words.join(" "));
    }
    sentences
}

/// The number of words in a sentence. A dash or an equals sign alone does not count.
fn words(sentence: &str) -> usize {
    sentence.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

/// The sentences of a page, each with its number of words.
fn measured(page: &str) -> Vec<(usize, String)> {
    let sentences = paragraphs(page).into_iter().flat_map(|paragraph| sentences(&paragraph));
    sentences.map(|sentence| (words(&sentence), sentence)).filter(|(words, _)| *words > 0).collect()
}

/// Whether too many of these lengths are long.
fn too_many_are_long(lengths: &[usize]) -> bool {
    let long = lengths.iter().filter(|words| **words > LONG).count();
    long * 100 > lengths.len() * LONG_OF_A_HUNDRED
}

/// The error about the length of a page, if it is too long.
fn too_many_lines(name: &str, page: &str) -> Option<String> {
    let (lines, most) =
        (page.lines().count(), if name == "README.md" { LINES_OF_THE_FRONT_PAGE - 1 } else { LINES });
    (lines > most).then(|| format!("{name}: {lines} lines, {most} at most"))
}

#[test]
fn sentences_are_short() {
    let (mut lengths, mut wrong, mut table) = (Vec::new(), Vec::new(), Vec::new());
    for page in files(".md") {
        let found = measured(&read(&page));
        let (long, of) = (found.iter().filter(|(words, _)| *words > LONG).count(), found.len());
        table.push(format!("{:>4} of {of:>4} over {LONG}  {}", long, shown(&page)));
        for (words, sentence) in found {
            lengths.push(words);
            if words > LONGEST {
                wrong.push(format!("{}: {words} words: {sentence}", shown(&page)));
            }
        }
    }
    lengths.sort_unstable();
    let (count, long) = (lengths.len(), lengths.iter().filter(|words| **words > LONG).count());
    assert!(count > 500, "only {count} sentences were seen");
    println!("{}", table.join("\n"));
    let share = 100.0 * long as f64 / count as f64;
    let (median, longest) = (lengths[count / 2], lengths[count - 1]);
    println!("{count} sentences, median {median} words, {share:.1} % over {LONG}, longest {longest}");
    nothing(&wrong);
    assert!(!too_many_are_long(&lengths), "{long} of {count} sentences have more than {LONG} words");
}

#[test]
fn no_page_is_longer_than_300_lines() {
    let wrong = files(".md").into_iter().filter_map(|page| too_many_lines(&shown(&page), &read(&page)));
    nothing(&wrong.collect::<Vec<_>>());
}

#[test]
fn a_long_sentence_is_found_in_paragraphs_list_items_and_quotations() {
    let long = "word ".repeat(41);
    for page in [
        format!("# Title\n\nShort. {long}\nand ends here. Short.\n"),
        format!("- Short.\n- {long}\n  goes on\n"),
        format!("12. {long}\n"),
        format!("> {long}\n> goes on\n"),
        format!("`code. {long}`"),
        format!("www.example.com/{long}"),
    ] {
        let longest = measured(&page).into_iter().map(|(words, _)| words).max();
        assert!(longest >= Some(41), "{longest:?}: {page}");
    }
}

#[test]
fn headings_tables_code_and_pictures_are_no_sentences() {
    let long = "word ".repeat(41);
    for page in [
        format!("# {long}\n"),
        format!("| {long} |\n|---|\n"),
        format!("```text\n{long}\n```\n"),
        format!("1. x\n\n   ```sh\n   {long}\n   ```\n"),
        format!("![{long}](picture.svg)\n"),
        format!("<!-- {long} -->\n"),
    ] {
        let longest = measured(&page).into_iter().map(|(words, _)| words).max().unwrap_or(0);
        assert!(longest < 2, "{longest}: {page}");
    }
}

#[test]
fn a_sentence_ends_where_a_reader_would_say_so() {
    let ends = |text: &str| sentences(text).len();
    assert_eq!(ends("**Bold.** One: two (three.) \"Four!\" Five? Six"), 6);
    assert_eq!(ends("Versions 1.94.1 and `a. b` and a; b, c [text](page.md) go on."), 1);
    assert_eq!(measured("One\n\n- two\n- three\n1. four\n\nfive\nsix").len(), 5);
    assert_eq!(words("a - b = c `d e`"), 5);
}

#[test]
fn one_long_sentence_more_than_eight_in_a_hundred_is_too_many() {
    let lengths = |long: usize| [vec![LONG + 1; long], vec![LONG; 100 - long]].concat();
    assert!(!too_many_are_long(&lengths(8)));
    assert!(too_many_are_long(&lengths(9)));
}

#[test]
fn a_page_that_goes_on_too_long_is_found() {
    assert_eq!(too_many_lines("docs/page.md", &"x\n".repeat(300)), None);
    assert!(too_many_lines("docs/page.md", &"x\n".repeat(301)).is_some());
    assert_eq!(too_many_lines("README.md", &"x\n".repeat(199)), None);
    assert!(too_many_lines("README.md", &"x\n".repeat(200)).is_some());
}
