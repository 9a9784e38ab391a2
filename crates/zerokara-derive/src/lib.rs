//! The derive macro Module of Zerokara.
