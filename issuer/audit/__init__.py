"""A hash chain over every decision and every act of a person, its heads signed by a key that is not in the database."""
