import js from "@eslint/js";
import globals from "globals";

export default [
	js.configs.recommended,
	{
		rules: {
			eqeqeq: "error",
			"no-implicit-globals": "error",
			"no-var": "error",
			"prefer-const": "error",
			"no-eval": "error",
			"no-implied-eval": "error",
			"no-new-func": "error",
			"no-script-url": "error",
			"no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
		},
	},
	{ files: ["assets/**/*.js", "*.js"], languageOptions: { globals: globals.browser } },
	{ files: ["test/**/*.mjs", "*.mjs"], languageOptions: { globals: { ...globals.node, CustomEvent: "readonly", document: "readonly" } } },
	{ ignores: ["node_modules/", "dist/"] },
];
