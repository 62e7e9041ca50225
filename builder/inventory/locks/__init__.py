"""Lock files of an application's source folder → the packages that it will be built with."""
