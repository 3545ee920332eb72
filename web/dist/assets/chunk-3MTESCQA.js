function u(t,n,...o){let e=document.createElement(t);for(let[r,c]of Object.entries(n))e.setAttribute(r,c);return e.append(...o),e}export{u as a};
