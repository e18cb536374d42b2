1 <!-- not TypeScript, but a script may say so
--> and this too
