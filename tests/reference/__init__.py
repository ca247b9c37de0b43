"""The tutorials' networks and training steps, written anew in their own frameworks, to compare the library with."""
