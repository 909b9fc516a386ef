//! The launches of one token, and of one prefill batch, as data.
