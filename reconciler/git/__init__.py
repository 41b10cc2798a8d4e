"""A git repository as the place where the desired state is: which commit, what lies in it, who changed it."""
