from speechverse.cli import main

main()
