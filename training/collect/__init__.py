"""The custom set: invented sentences, pictures found for them, and a person who says which pairs are true."""
