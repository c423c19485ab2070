// Light or dark, as the page is.

// As the page says (the book's theme, JupyterLab, VS Code), or else as the reader's system does.
function isDark(scheme) {
  const { theme } = document.documentElement.dataset, { jpThemeLight } = document.body.dataset, { classList } = document.body;
  if (theme === "dark" || theme === "light") return theme === "dark";
  if (jpThemeLight) return jpThemeLight === "false";
  // high-contrast-light carries the class of high-contrast, too
  if (classList.contains("vscode-light") || classList.contains("vscode-high-contrast-light")) return false;
  if (classList.contains("vscode-dark") || classList.contains("vscode-high-contrast")) return true;
  return scheme.matches;
}

// Keeps data-theme of the host at "light" or "dark"; returns what ends that.
export function followTheme(host) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { host.dataset.theme = isDark(scheme) ? "dark" : "light"; };
  const watcher = new MutationObserver(follow);
  for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributes: true });
  scheme.addEventListener("change", follow);
  follow();
  return () => {
    watcher.disconnect();
    scheme.removeEventListener("change", follow);
  };
}

// VS Code lays widgets on white, whatever its theme.
export function clearBackground(el) {
  const white = el.closest(".cell-output-ipywidget-background");
  if (white) white.style.cssText += "background:transparent!important;--jp-widgets-color:var(--vscode-editor-foreground)";
}
