"""What a person may ask of us about themselves, and what time asks: export, restriction, erasure, retention."""
